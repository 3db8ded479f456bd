import { abs, add, defineModel, linear, mean, mseLoss, mul, square, tanh, unit } from 'ebb';

/** Auxiliary losses of the stream between units, one of which reaches the loss through another unit's function. */
export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 6] }, target: { dtype: 'f32', shape: ['B', 6] } },
  dims: { B: 4 },
  build: ({ x, target }) => {
    const h = linear('in', x, { inputs: 6, outputs: 6 });
    const a = unit('layers.0', h, (y) => tanh(linear('layers.0.w', y, { inputs: 6, outputs: 6, bias: true })));
    const size = mean(square(a));
    const b = unit('layers.1', a, (y) => mul(tanh(linear('layers.1.w', y, { inputs: 6, outputs: 6 })), size));
    const spread = mean(abs(b));
    const c = unit('layers.2', b, (y) => tanh(linear('layers.2.w', y, { inputs: 6, outputs: 6 })));
    return add(add(mseLoss(c, target), mul(size, 0.2)), mul(spread, mul(size, 0.5)));
  },
});
