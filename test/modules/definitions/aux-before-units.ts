import { add, crossEntropy, defineModel, embedding, linear, mean, mul, param, rmsNorm, square, type Tensor, tanh, unit } from 'ebb';

const mlp = (name: string, x: Tensor): Tensor =>
  linear(`${name}.down`, tanh(linear(`${name}.up`, x, { inputs: 6, outputs: 10, bias: true })), { inputs: 10, outputs: 6 });

/** An auxiliary loss of a tensor that is made before the first unit. */
export const model = defineModel({
  inputs: { tokens: { dtype: 'i32', shape: ['B', 'T'] }, targets: { dtype: 'i32', shape: ['B', 'T'] } },
  dims: { B: 2, T: 5 },
  build: ({ tokens, targets }) => {
    const h = embedding(param('embed.weight', [11, 6]), tokens);
    const aux = mean(square(h));
    let x = h;
    for (let i = 0; i < 2; i++) x = unit(`layers.${i}`, x, (y) => mlp(`layers.${i}`, rmsNorm(y, param(`layers.${i}.norm`, [6]), 1e-5)));
    return add(crossEntropy(linear('head', x, { inputs: 6, outputs: 11 }), targets), mul(aux, 0.03));
  },
});
