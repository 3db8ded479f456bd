import { defineModel, matmul, mean, param } from 'ebb';

export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['R', 4] } },
  dims: { R: 2 },
  build: ({ x }) => mean(matmul(x, param('w', [4, 4]))),
});
