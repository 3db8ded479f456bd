/** @file mish: x · tanh(softplus(x)) (Misra 2019), elementwise. */

import { compositeOp } from './composite.ts';
import { log } from './math.ts';
import { add, exp, mul, type Tensor, tanh } from './nn.ts';

const apply = compositeOp({
  name: 'mish',
  operands: ['x'],
  decompose: ({ x }) => mul(x, tanh(log(add(exp(x), 1)))),
  samples: [{ types: [{ dtype: 'f32', shape: [2, 4] }] }],
});

export const mish = (x: Tensor): Tensor => apply([x]);
