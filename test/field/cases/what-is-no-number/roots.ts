import { defineModel, mean, mul, param, sqrt } from 'ebb';

export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 3] } },
  dims: { B: 2 },
  build: ({ x }) => mean(sqrt(mul(x, param('scale', [3])))),
});
