/** @file `dot`, the only contraction. With `batch` leading batch axes and `contract` contracted axes,
 * lhs is [batch…, M…, K…] (`ta`: [batch…, K…, M…]), rhs is [batch…, K…, N…] (`tb`: [batch…, N…, K…]), the result [batch…, M…, N…].
 * An operand whose flag is set is printed with `^T` behind it: `dot %x, %w^T` is a linear layer with a weight [out, in].
 *
 * - (C1) batch axes agree. (C2) contracted axes agree.
 */

import { productOf } from '../../cost.ts';
import { at } from '../../errors.ts';
import type { AttrsOf } from '../attributes.ts';
import { constraint } from '../constraint.ts';
import { makeOp } from '../define.ts';
import { tensor } from '../tensor.ts';
import { elements, type Op, type Shape, sameShape, type Type, typeText, type Value } from '../types.ts';

export interface DotShape {
  readonly batch: Shape;
  readonly m: Shape;
  readonly n: Shape;
  readonly k: Shape;
  readonly ta: boolean;
  readonly tb: boolean;
}

const ATTRS = { batch: { type: 'number', default: 0 }, contract: { type: 'number', default: 1 }, ta: 'boolean', tb: 'boolean' } as const;

/** Splits the operands' axes into batch, M, N and K. @throws OpError C1, C2 */
function splitAxes(lhs: Type, rhs: Type, { batch: batchRank, contract, ta, tb }: AttrsOf<typeof ATTRS>): DotShape {
  const batch = lhs.shape.slice(0, batchRank);
  constraint(sameShape(batch, rhs.shape.slice(0, batchRank)), 'dot', 'C1', () => `batch axes must agree, found ${typeText(lhs)} and ${typeText(rhs)}`);
  const left = lhs.shape.slice(batchRank);
  const right = rhs.shape.slice(batchRank);
  const k = ta ? left.slice(0, contract) : left.slice(left.length - contract);
  const kRight = tb ? right.slice(right.length - contract) : right.slice(0, contract);
  constraint(
    sameShape(k, kRight) && k.length === contract,
    'dot',
    'C2',
    () => `contracted axes must agree, found [${k.join(',')}] of ${typeText(lhs)} and [${kRight.join(',')}] of ${typeText(rhs)}; is a transpose missing?`,
  );
  return {
    batch,
    m: ta ? left.slice(contract) : left.slice(0, left.length - contract),
    n: tb ? right.slice(0, right.length - contract) : right.slice(contract),
    k,
    ta,
    tb,
  };
}

/** The axes of a `dot`. */
export function dotShape({ operands, attrs }: Pick<Op, 'operands' | 'attrs'>): DotShape {
  const { batch, contract, ta, tb } = attrs;
  const given = { batch: Number(batch ?? ATTRS.batch.default), contract: Number(contract ?? ATTRS.contract.default), ta: ta === true, tb: tb === true };
  return splitAxes(at(operands, 0).type, at(operands, 1).type, given);
}

export const dot = makeOp({
  name: 'dot',
  kind: 'dot',
  operands: { lhs: 'f32', rhs: 'f32' },
  attrs: ATTRS,
  marks: ['ta', 'tb'],
  infer: ({ lhs, rhs }, attrs) => {
    const { batch, m, n } = splitAxes(lhs, rhs, attrs);
    return { dtype: 'f32', shape: [...batch, ...m, ...n] };
  },
  evaluate: ({ lhs, rhs }, attrs, { sizes, shape }) => {
    const s = splitAxes(lhs, rhs, attrs);
    const [batch, M, N, K] = [s.batch, s.m, s.n, s.k].map((part) => elements(part, sizes)) as [number, number, number, number];
    const out = tensor('f32', shape);
    for (let g = 0; g < batch; g++)
      for (let i = 0; i < M; i++)
        for (let j = 0; j < N; j++) {
          let sum = 0;
          for (let k = 0; k < K; k++)
            sum += at(lhs.data, g * M * K + (s.ta ? k * M + i : i * K + k)) * at(rhs.data, g * N * K + (s.tb ? j * K + k : k * N + j));
          out.data[(g * M + i) * N + j] = sum;
        }
    return out;
  },
  // dA = dC·Bᵀ and dB = Aᵀ·dC are dots too, which read and write the operands' own layouts, so nothing is transposed in memory.
  vjp: ({ b, d, attrs, needs }, { lhs, rhs }) => {
    const s = splitAxes(lhs.type, rhs.type, attrs);
    const batch = s.batch.length;
    const grad = (x: Value, y: Value, contract: number, ta: boolean, tb: boolean): Value => b.op('dot', [x, y], { batch, contract, ta, tb });
    return {
      lhs: needs.lhs ? (s.ta ? grad(rhs, d, s.n.length, s.tb, true) : grad(d, rhs, s.n.length, false, !s.tb)) : null,
      rhs: needs.rhs ? (s.tb ? grad(d, lhs, s.m.length, true, s.ta) : grad(lhs, d, s.m.length, !s.ta, false)) : null,
    };
  },
  flops: ({ lhs, rhs }, _results, attrs) => {
    const { batch, m, n, k } = splitAxes(lhs, rhs, attrs);
    return productOf([2, ...batch, ...m, ...n, ...k]);
  },
  samples: [
    {
      types: [
        { dtype: 'f32', shape: [2, 3, 4] },
        { dtype: 'f32', shape: [5, 4] },
      ],
      attrs: { tb: true },
    },
    {
      types: [
        { dtype: 'f32', shape: [2, 3, 4] },
        { dtype: 'f32', shape: [4, 5] },
      ],
    },
    {
      types: [
        { dtype: 'f32', shape: [2, 3, 4] },
        { dtype: 'f32', shape: [2, 3, 5] },
      ],
      attrs: { ta: true, contract: 2 },
    },
    {
      types: [
        { dtype: 'f32', shape: [2, 3, 4] },
        { dtype: 'f32', shape: [2, 5, 4] },
      ],
      attrs: { tb: true, batch: 1 },
    },
    {
      types: [
        { dtype: 'f32', shape: [2, 4, 3] },
        { dtype: 'f32', shape: [2, 5, 4] },
      ],
      attrs: { ta: true, tb: true, batch: 1 },
    },
  ],
  rejects: [
    {
      constraint: 'C0',
      types: [
        { dtype: 'i32', shape: [2, 3] },
        { dtype: 'f32', shape: [3, 4] },
      ],
    },
    {
      constraint: 'C1',
      types: [
        { dtype: 'f32', shape: [2, 3, 4] },
        { dtype: 'f32', shape: [3, 4, 5] },
      ],
      attrs: { batch: 1 },
    },
    {
      constraint: 'C2',
      types: [
        { dtype: 'f32', shape: [2, 3] },
        { dtype: 'f32', shape: [4, 3] },
      ],
    },
  ],
});
