import { add, defineModel, exp, linear, mean, mseLoss, mul, neg, sqrt, square, tanh, unit } from 'ebb';

/** A loss that is multiplied by scalars the model computes, and whose own root is returned, beside what it was made of. */
export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 5] }, target: { dtype: 'f32', shape: ['B', 5] } },
  dims: { B: 3 },
  build: ({ x, target }) => {
    const h = tanh(linear('in', x, { inputs: 5, outputs: 5 }));
    const certainty = exp(neg(mean(square(h))));
    const y = unit('layers.0', h, (z) => tanh(linear('layers.0.w', z, { inputs: 5, outputs: 5 })));
    const plain = mseLoss(y, target);
    return [sqrt(add(mul(plain, certainty), 0.01)), plain, y];
  },
});
