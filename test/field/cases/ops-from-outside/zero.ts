import { callOp, defineModel, expr, mseLoss, mul, param, reductionOp, registerOp, unit } from 'ebb';

registerOp(reductionOp('product', { identity: 0, js: (x, y) => x * y, expr: expr.mul }, ({ d }) => ({ x: d })));

export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 4] }, target: { dtype: 'f32', shape: ['B', 4] } },
  dims: { B: 2 },
  build: ({ x, target }) => {
    const w = param('w', [4]);
    const y = unit('only', x, (h) => mul(h, callOp('product', [mul(w, h)], { axes: [1] })));
    return mseLoss(y, target);
  },
});
