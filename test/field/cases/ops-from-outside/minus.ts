import { callOp, defineModel, expr, mseLoss, mul, param, reductionOp, registerOp, unit } from 'ebb';

registerOp(reductionOp('half_sum', { identity: 0, js: (x, y) => (x === 0 ? y : y === 0 ? x : (x + y) / 2), expr: expr.add }, ({ d }) => ({ x: d })));

export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 4] }, target: { dtype: 'f32', shape: ['B', 4] } },
  dims: { B: 2 },
  build: ({ x, target }) => {
    const w = param('w', [4]);
    const y = unit('only', x, (h) => mul(h, callOp('half_sum', [mul(w, h)], { axes: [1] })));
    return mseLoss(y, target);
  },
});
