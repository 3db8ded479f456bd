/**
 * @file A model with an op that the library does not have: the activation `snake` (Liu et al. 2020), x + sin²(a·x)/a, which learns periodic
 * functions. Only its decomposition is written; its shape, cost and derivative follow from it, and it is one node in the IR.
 */

import { add, compositeOp, defineModel, div, linear, mseLoss, mul, param, sin, square, type Tensor, unit } from 'ebb';

const WIDTH = 32;

/** x + sin²(a·x)/a, where `a` is a frequency for each channel. */
const snake = compositeOp({
  name: 'snake',
  operands: ['x', 'a'],
  decompose: ({ x, a }) => add(x, div(square(sin(mul(x, a))), a)),
  samples: [
    {
      types: [
        { dtype: 'f32', shape: [3, 4] },
        { dtype: 'f32', shape: [4] },
      ],
    },
  ],
});

function wave(name: string, x: Tensor): Tensor {
  const frequency = param(`${name}.frequency`, [WIDTH], { init: { kind: 'constant', value: 2 } });
  const bent = snake([linear(`${name}.in`, x, { inputs: WIDTH, outputs: WIDTH, bias: true }), frequency]);
  return linear(`${name}.out`, bent, { inputs: WIDTH, outputs: WIDTH });
}

export const model = defineModel({
  inputs: {
    time: { dtype: 'f32', shape: ['B', 1] },
    height: { dtype: 'f32', shape: ['B', 1] },
  },
  dims: { B: 64 },
  build: ({ time, height }) => {
    let x = linear('enter', time, { inputs: 1, outputs: WIDTH, bias: true });
    for (let i = 0; i < 2; i++) x = unit(`waves.${i}`, x, (y) => wave(`waves.${i}`, y));
    return mseLoss(linear('leave', x, { inputs: WIDTH, outputs: 1 }), height);
  },
});
