/** @file Reductions. The reduced axes stay, with size 1.
 *
 * - (C1) axes are distinct and below the rank. (C2) the operand is f32.
 */

import { productOf } from '../../cost.ts';
import { constraint, numbersAttr, type OpDef, operand, shapeToAttr } from '../define.ts';
import { strides, tensor } from '../tensor.ts';
import { typeText } from '../types.ts';

function define(name: string, init: number, step: (a: number, b: number) => number, vjp: NonNullable<OpDef['vjp']>): OpDef {
  return {
    name,
    kind: 'reduce',
    infer: (types, attrs) => {
      const x = operand(types, 0, name);
      const axes = numbersAttr(attrs, 'axes', name);
      constraint(
        new Set(axes).size === axes.length && axes.every((a) => a >= 0 && a < x.shape.length),
        name,
        'C1',
        () => `axes must be distinct axes of ${typeText(x)}, found [${axes.join(',')}]`,
      );
      constraint(x.dtype === 'f32', name, 'C2', () => `the operand must be f32, found ${typeText(x)}`);
      return [{ dtype: x.dtype, shape: x.shape.map((d, i) => (axes.includes(i) ? 1 : d)) }];
    },
    evaluate: ([x], _attrs, _sizes, types) => {
      if (!x) return [];
      const shape = types[0]?.shape as readonly number[];
      const out = tensor(x.dtype, shape);
      out.data.fill(init);
      const from = strides(x.shape);
      const to = strides(shape);
      for (let i = 0; i < x.data.length; i++) {
        let offset = 0;
        for (let d = 0; d < shape.length; d++) {
          const index = Math.floor(i / (from[d] ?? 1)) % (x.shape[d] ?? 1);
          if (shape[d] !== 1) offset += index * (to[d] ?? 1);
        }
        out.data[offset] = step(out.data[offset] ?? 0, x.data[i] ?? 0);
      }
      return [out];
    },
    vjp,
    flops: (types) => productOf(operand(types, 0, name).shape),
    samples: [
      { types: [{ dtype: 'f32', shape: [2, 3, 4] }], attrs: { axes: [2] } },
      { types: [{ dtype: 'f32', shape: [2, 3, 4] }], attrs: { axes: [0, 1] } },
    ],
    rejects: [
      { constraint: 'C1', types: [{ dtype: 'f32', shape: [2, 3] }], attrs: { axes: [2] } },
      { constraint: 'C2', types: [{ dtype: 'i32', shape: [2, 3] }], attrs: { axes: [1] } },
    ],
  };
}

/** Σ over the axes. */
const reduceSum = define(
  'reduce_sum',
  0,
  (a, b) => a + b,
  ({ b, operands: [x], cotangents: [d] }) => [x && d ? b.op('broadcast', [d], { shape: shapeToAttr(x.type.shape) }) : null],
);

/** Maximum over the axes; maxima that tie share the cotangent evenly (as torch.amax). */
const reduceMax = define('reduce_max', -3.4028234663852886e38, Math.max, ({ b, operands: [x], results: [out], attrs, cotangents: [d] }) => {
  if (!x || !out || !d) return [null];
  const largest = b.op('select', [b.op('eq', [x, out]), b.constant(1), b.constant(0)]);
  const ties = b.op('reduce_sum', [largest], { axes: numbersAttr(attrs, 'axes', 'reduce_max') });
  return [b.op('mul', [largest, b.op('div', [d, ties])])];
});

export const reduceOps: readonly OpDef[] = [reduceSum, reduceMax];
