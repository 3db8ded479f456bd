import { callOp, defineModel, expr, mseLoss, mul, param, pointwiseOp, registerOp, unit } from 'ebb';

registerOp(pointwiseOp('forgotten', { arity: 1, domain: 'f32', js: (x) => x * x, expr: (x) => expr.mul(x, x) }));

export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 4] }, target: { dtype: 'f32', shape: ['B', 4] } },
  dims: { B: 2 },
  build: ({ x, target }) => {
    const w = param('w', [4]);
    const y = unit('only', x, (h) => callOp('forgotten', [mul(w, h)]));
    return mseLoss(y, target);
  },
});
