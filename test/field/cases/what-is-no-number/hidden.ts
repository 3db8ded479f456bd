import { defineModel, greaterEqual, log, mean, mul, param, select, unit } from 'ebb';

export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 3] } },
  dims: { B: 2 },
  build: ({ x }) => {
    const y = unit('lost', mul(x, param('scale', [3])), (v) => log(v));
    return mean(select(greaterEqual(y, -9), y, 0));
  },
});
