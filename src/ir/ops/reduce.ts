/** @file Reductions. The reduced axes stay with size 1. (C1) axes are distinct and below the rank. */

import { add, call } from '../../codegen/kernel/expr.ts';
import { largestOf, maxOf } from '../../codegen/kernel/numerics.ts';
import { productOf } from '../../cost.ts';
import { at } from '../../errors.ts';
import { constraint, OpError } from '../constraint.ts';
import { type Combine, makeOp, type OpSource, shapeToAttr } from '../define.ts';
import { strides, tensor } from '../tensor.ts';
import { typeText } from '../types.ts';

type Operands = { readonly x: 'f32' };
type Attributes = { readonly axes: 'numbers' };
type Derivative = NonNullable<OpSource<string, 'reduce', Operands, Attributes>['vjp']>;

/** Numbers on which a function that combines elements is tried. */
const TRIED = [-1.5, 0.25, 2, 3];

const near = (x: number, y: number): boolean => Object.is(x, y) || Number.isNaN(x) || Math.abs(x - y) <= 1e-9 * Math.max(1, Math.abs(x), Math.abs(y));

/** @throws OpError if combining with the identity changes something, or the order in which elements are combined does */
function checkCombine(name: string, { identity, js }: Combine): void {
  for (const x of TRIED) {
    for (const made of [js(identity, x), js(x, identity)])
      if (!near(made, x)) throw new OpError(`${name}: its identity ${identity} combined with ${x} gives ${made}; expected ${x}: nothing may change`);
    for (const y of TRIED) {
      if (!near(js(x, y), js(y, x)))
        throw new OpError(`${name}: ${x} with ${y} gives ${js(x, y)}, and ${y} with ${x} ${js(y, x)}; expected the same, as kernels combine in any order`);
      for (const z of TRIED) {
        const [left, right] = [js(js(x, y), z), js(x, js(y, z))];
        if (!near(left, right))
          throw new OpError(
            `${name}: ${x}, ${y} and ${z} combined from the left give ${left}, and from the right ${right}; expected the same, as kernels combine in any order`,
          );
      }
    }
  }
}

/**
 * Makes a reduction from the function that combines two elements.
 * @throws OpError if `combine.js` is not associative and commutative, or its identity changes a number, as far as some numbers tell
 */
export function reductionOp<const N extends string>(name: N, combine: Combine, vjp: Derivative) {
  checkCombine(name, combine);
  return makeOp({
    name,
    kind: 'reduce',
    operands: { x: 'f32' },
    attrs: { axes: 'numbers' },
    combine,
    infer: ({ x }, { axes }) => {
      constraint(
        new Set(axes).size === axes.length && axes.every((a) => a >= 0 && a < x.shape.length),
        name,
        'C1',
        () => `axes must be distinct axes of ${typeText(x)}, found [${axes.join(',')}]`,
      );
      return { dtype: x.dtype, shape: x.shape.map((d, i) => (axes.includes(i) ? 1 : d)) };
    },
    evaluate: ({ x }, _attrs, { shape }) => {
      const out = tensor(x.dtype, shape);
      out.data.fill(combine.identity);
      const from = strides(x.shape);
      const to = strides(shape);
      for (let i = 0; i < x.data.length; i++) {
        let offset = 0;
        for (let d = 0; d < shape.length; d++) {
          const index = Math.floor(i / at(from, d)) % at(x.shape, d);
          if (shape[d] !== 1) offset += index * at(to, d);
        }
        out.data[offset] = combine.js(at(out.data, offset), at(x.data, i));
      }
      return out;
    },
    vjp,
    flops: ({ x }) => productOf(x.shape),
    samples: [
      { types: [{ dtype: 'f32', shape: [2, 3, 4] }], attrs: { axes: [2] } },
      { types: [{ dtype: 'f32', shape: [2, 3, 4] }], attrs: { axes: [0, 1] } },
    ],
    rejects: [
      { constraint: 'C1', types: [{ dtype: 'f32', shape: [2, 3] }], attrs: { axes: [2] } },
      { constraint: 'C0', types: [{ dtype: 'i32', shape: [2, 3] }], attrs: { axes: [1] } },
    ],
  });
}

/** Σ over the axes. */
const reduceSum = reductionOp(
  'reduce_sum',
  { identity: 0, js: (a, b) => a + b, expr: add, subgroup: (value) => call('subgroupAdd', value) },
  ({ b, d }, { x }) => ({
    x: b.op('broadcast', [d], { shape: shapeToAttr(x.type.shape) }),
  }),
);

/** The least finite f32, with which a maximum starts. */
const LEAST = -3.4028234663852886e38;

/** Maximum over the axes; maxima that tie share the cotangent evenly (as in torch.amax). */
const reduceMax = reductionOp(
  'reduce_max',
  { identity: LEAST, js: Math.max, expr: maxOf, subgroup: largestOf },
  ({ b, d, results, attrs: { axes } }, { x }) => {
    const largest = b.op('select', [b.op('eq', [x, at(results, 0)]), b.constant(1), b.constant(0)]);
    const ties = b.op('reduce_sum', [largest], { axes });
    return { x: b.op('mul', [largest, b.op('div', [d, ties])]) };
  },
);

export const reduceOps = [reduceSum, reduceMax] as const;
