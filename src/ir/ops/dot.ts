/** @file `dot`: the one contraction. With `batch` leading batch axes and `contract` contracted axes,
 * lhs is [batch…, M…, K…] (`ta`: [batch…, K…, M…]), rhs is [batch…, K…, N…] (`tb`: [batch…, N…, K…]), the result [batch…, M…, N…].
 * Printed with `^T` behind an operand whose flag is set: `dot %x, %w^T` is a linear layer with a weight [out, in].
 *
 * - (C1) both operands are f32. (C2) batch axes agree. (C3) contracted axes agree.
 */

import { productOf } from '../../cost.ts';
import { constraint, type OpDef, operand } from '../define.ts';
import { tensor } from '../tensor.ts';
import { type Attrs, elements, type Shape, sameShape, type Type, typeText } from '../types.ts';

export interface DotShape {
  readonly batch: Shape;
  readonly m: Shape;
  readonly n: Shape;
  readonly k: Shape;
  readonly ta: boolean;
  readonly tb: boolean;
}

/** Splits the operands' axes into batch, M, N and K. @throws OpError C1–C3. */
export function dotShape(types: readonly Type[], attrs: Attrs): DotShape {
  const lhs = operand(types, 0, 'dot');
  const rhs = operand(types, 1, 'dot');
  const batchRank = Number(attrs['batch'] ?? 0);
  const contract = Number(attrs['contract'] ?? 1);
  const ta = attrs['ta'] === true;
  const tb = attrs['tb'] === true;
  constraint(lhs.dtype === 'f32' && rhs.dtype === 'f32', 'dot', 'C1', () => `operands must be f32, found ${typeText(lhs)} and ${typeText(rhs)}`);
  const batch = lhs.shape.slice(0, batchRank);
  constraint(sameShape(batch, rhs.shape.slice(0, batchRank)), 'dot', 'C2', () => `batch axes must agree, found ${typeText(lhs)} and ${typeText(rhs)}`);
  const left = lhs.shape.slice(batchRank);
  const right = rhs.shape.slice(batchRank);
  const k = ta ? left.slice(0, contract) : left.slice(left.length - contract);
  const kRight = tb ? right.slice(right.length - contract) : right.slice(0, contract);
  constraint(
    sameShape(k, kRight) && k.length === contract,
    'dot',
    'C3',
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

export const dot: OpDef = {
  name: 'dot',
  kind: 'dot',
  infer: (types, attrs) => {
    const { batch, m, n } = dotShape(types, attrs);
    return [{ dtype: 'f32', shape: [...batch, ...m, ...n] }];
  },
  evaluate: ([lhs, rhs], attrs, sizes, types) => {
    if (!lhs || !rhs) return [];
    const s = dotShape([lhs, rhs], attrs);
    const [batch, M, N, K] = [s.batch, s.m, s.n, s.k].map((part) => elements(part, sizes)) as [number, number, number, number];
    const out = tensor('f32', types[0]?.shape as readonly number[]);
    for (let g = 0; g < batch; g++)
      for (let i = 0; i < M; i++)
        for (let j = 0; j < N; j++) {
          let sum = 0;
          for (let k = 0; k < K; k++) {
            const a = lhs.data[g * M * K + (s.ta ? k * M + i : i * K + k)] ?? 0;
            sum += a * (rhs.data[g * N * K + (s.tb ? j * K + k : k * N + j)] ?? 0);
          }
          out.data[(g * M + i) * N + j] = sum;
        }
    return [out];
  },
  // dA = dC·Bᵀ and dB = Aᵀ·dC in the operands' own layouts: again dots, never an intermediate
  vjp: ({ b, operands: [lhs, rhs], cotangents: [d], attrs, needs }) => {
    if (!lhs || !rhs || !d) return [null, null];
    const s = dotShape([lhs.type, rhs.type], attrs);
    const batch = s.batch.length;
    const grad = (x: typeof d, y: typeof d, contract: number, ta: boolean, tb: boolean): typeof d => b.op('dot', [x, y], { batch, contract, ta, tb });
    return [
      needs[0] ? (s.ta ? grad(rhs, d, s.n.length, s.tb, true) : grad(d, rhs, s.n.length, false, !s.tb)) : null,
      needs[1] ? (s.tb ? grad(d, lhs, s.m.length, true, s.ta) : grad(lhs, d, s.m.length, !s.ta, false)) : null,
    ];
  },
  flops: (inputs, _out, attrs) => {
    const { batch, m, n, k } = dotShape(inputs, attrs);
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
      constraint: 'C1',
      types: [
        { dtype: 'i32', shape: [2, 3] },
        { dtype: 'f32', shape: [3, 4] },
      ],
    },
    {
      constraint: 'C2',
      types: [
        { dtype: 'f32', shape: [2, 3, 4] },
        { dtype: 'f32', shape: [3, 4, 5] },
      ],
      attrs: { batch: 1 },
    },
    {
      constraint: 'C3',
      types: [
        { dtype: 'f32', shape: [2, 3] },
        { dtype: 'f32', shape: [4, 3] },
      ],
    },
  ],
};
