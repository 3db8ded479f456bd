import { compositeOp, defineModel, mseLoss, mul, param, unit } from 'ebb';

export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 4] }, target: { dtype: 'f32', shape: ['B', 4] } },
  dims: { B: 2 },
  build: ({ x, target }) => {
    const w = param('w', [4]);
    const scaled = compositeOp({ name: 'scaled', operands: ['x'], decompose: ({ x: v }) => mul(v, w) });
    const y = unit('only', x, (h) => scaled([h]));
    return mseLoss(y, target);
  },
});
