import { add, crossEntropy, defineModel, embedding, linear, meanOver, mul, param, reshape, slice, softmax, sum, type Tensor, tanh, unit } from 'ebb';

/** x [B, T, 6] → two experts by soft routing; the square of each expert's share, summed, is handed out. */
function experts(name: string, x: Tensor, losses: Tensor[]): Tensor {
  const shares = softmax(linear(`${name}.router`, x, { inputs: 6, outputs: 2 }));
  const load = meanOver(shares, [0, 1]);
  losses.push(reshape(sum(mul(load, load), [0, 1, 2]), []));
  return add(
    mul(slice(shares, 2, 0, 1), tanh(linear(`${name}.a`, x, { inputs: 6, outputs: 6 }))),
    mul(slice(shares, 2, 1, 1), linear(`${name}.b`, x, { inputs: 6, outputs: 6 })),
  );
}

/** A load-balancing loss, made in units and added up in the trunk. A dropped unit's part of it counts, and has no gradient. */
export const model = defineModel({
  inputs: { tokens: { dtype: 'i32', shape: ['B', 'T'] }, targets: { dtype: 'i32', shape: ['B', 'T'] } },
  dims: { B: 2, T: 4 },
  build: ({ tokens, targets }) => {
    const losses: Tensor[] = [];
    let x = embedding(param('embed', [9, 6]), tokens);
    for (let i = 0; i < 4; i++) x = unit(`layers.${i}`, x, (y) => experts(`layers.${i}`, y, losses));
    const balance = losses.reduce((total, loss) => add(total, loss));
    return add(crossEntropy(linear('head', x, { inputs: 6, outputs: 9 }), targets), mul(balance, 0.05));
  },
});
