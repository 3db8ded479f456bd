/** @file The backward ops of attention, which read the saved out and lse (FlashAttention, Dao et al. 2022): `attention_stats`, `attention_dq`, `attention_dkv`.
 *
 * - (C1) ranks, head widths, batch and head counts agree. (C2) position is i32[], and stats have the type that `attention_stats` returns.
 * - (C3) key segments are i32 [B, S]; without them S = T. (C4) angles are [positions, D], D even. (C5) the window is a whole number, 1 or more.
 */

import { type Cost, productOf, sumOf } from '../../cost.ts';
import { at } from '../../errors.ts';
import type { AttrsOf } from '../attributes.ts';
import { constraint } from '../constraint.ts';
import { type FuncBuilder, makeOp, type Rejection, type Sample, shapeToAttr } from '../define.ts';
import { bindOperands, type Named } from '../operands.ts';
import { type Attrs, type Dim, type Op, sameShape, type Type, typeText, type Value } from '../types.ts';
import { checkHeads, checkWindow, lseType, pairFlops, SCORES, type Scores, scoresOf } from './attention.ts';
import { rope } from './rope.ts';

const f = (...shape: number[]): Type => ({ dtype: 'f32', shape });
const seg = (...shape: number[]): Type => ({ dtype: 'i32', shape });

const STATS_OPERANDS = { out: 'f32', d: 'f32', lse: 'f32', segq: 'i32' } as const;

/** Operands of `attention_stats` by name. */
export const statsOperands = <T>(operands: readonly T[], attrs: Attrs): Named<typeof STATS_OPERANDS, T> => bindOperands(STATS_OPERANDS, operands, attrs);

/** `attention_stats %out, %d, %lse, %segq`, [B, H, T, 3]: for each query its lse, Σ out·d over headDim, and its segment as f32 (exact below 2²⁴). */
export const attentionStats = makeOp({
  name: 'attention_stats',
  kind: 'kernel',
  operands: STATS_OPERANDS,
  infer: ({ out }) => ({ dtype: 'f32', shape: [...lseType(out).shape, 3] }),
  decompose: (b, { out, d, lse, segq }) => {
    const [batch, tokens, heads] = out.type.shape as readonly [Dim, Dim, Dim];
    const column = shapeToAttr([batch, heads, tokens, 1]);
    const sum = b.op('reduce_sum', [b.op('mul', [out, d])], { axes: [3] });
    const delta = b.op('transpose', [sum], { perm: [0, 2, 1, 3] });
    const segments = b.op('reshape', [b.op('convert', [segq], { to: 'f32' })], { shape: shapeToAttr([batch, 1, tokens, 1]) });
    return b.op('concat', [b.op('reshape', [lse], { shape: column }), delta, b.op('broadcast', [segments], { shape: column })], { axis: 3 });
  },
  flops: ({ out }) => productOf([2, ...out.shape]),
  samples: [{ types: [f(2, 3, 4, 2), f(2, 3, 4, 2), f(2, 4, 3), seg(2, 3)], values: { 3: [1, 1, 2, 0, 1, 1] } }],
});

const ATTRS = { ...SCORES, key_segments: 'boolean', rotated: 'boolean' } as const;
type GradientAttrs = AttrsOf<typeof ATTRS>;

/**
 * `attention_dq|attention_dkv %q, %k, %v, %position, %d, %stats, %segk?, %angles? {…, key_segments?, rotated?}`. Without `key_segments` the keys
 * have the segments of the queries (S = T). With `rotated`, `rope` made q and k with these angles, and dq and dk are rotated back.
 */
const OPERANDS = {
  q: 'f32',
  k: 'f32',
  v: 'f32',
  position: 'i32',
  d: 'f32',
  stats: 'f32',
  segk: { dtype: 'i32', when: 'key_segments' },
  angles: { dtype: 'f32', when: 'rotated' },
} as const;
type GradientOperands<T> = Named<typeof OPERANDS, T>;

/** Operands of `attention_dq` and `attention_dkv` by name; those whose attribute is not set are undefined. */
export const gradientOperands = <T>(operands: readonly T[], attrs: Attrs): GradientOperands<T> => bindOperands(OPERANDS, operands, attrs);

function checkGradient({ q, k, v, position, stats, segk, angles }: GradientOperands<Type>, { window }: GradientAttrs, name: string): void {
  checkHeads({ q, k, v }, name);
  const [batch, tokens] = q.shape as readonly [Dim, Dim];
  const keys = at(k.shape, 1);
  constraint(
    position.shape.length === 0 && sameShape(stats.shape, [...lseType(q).shape, 3]),
    name,
    'C2',
    () => `position must be i32[] and stats f32[batch, heads, tokens, 3], found ${typeText(position)}, ${typeText(stats)}`,
  );
  constraint(
    segk === undefined ? tokens === keys : sameShape(segk.shape, [batch, keys]),
    name,
    'C3',
    () => `keys must be as many as queries, or have segments i32[batch, keys], found ${[q, k, ...(segk ? [segk] : [])].map(typeText).join(', ')}`,
  );
  constraint(
    angles === undefined || (angles.shape.length === 2 && angles.shape[1] === q.shape[3] && Number(q.shape[3]) % 2 === 0),
    name,
    'C4',
    () => `angles must be [positions, even headDim], found ${angles === undefined ? 'none' : typeText(angles)} for q ${typeText(q)}`,
  );
  checkWindow(window, name, 'C5');
}

/** `perPair` FLOPs for each element of a head and each visible pair, and 3 for each element of the first result if it is rotated back. */
const gradientFlops =
  (perPair: number) =>
  ({ q, k, angles }: GradientOperands<Type>, results: readonly Type[], attrs: GradientAttrs): Cost =>
    sumOf([pairFlops(q, k, attrs, perPair), angles ? productOf([3, ...at(results, 0).shape]) : 0]);

/**
 * Merges a gradient with the `rope {inverse}` that reads its first result: its kernel then rotates dq or dk back as it stores it. Gradients
 * with key segments are not merged, since dK and dV would then bind more than eight buffers.
 */
function absorbs(op: Op, reader: Op, known: ReadonlySet<Value>): Op | null {
  if (reader.name !== rope.name || reader.attrs['inverse'] !== true) return null;
  const [x, angles, position] = reader.operands;
  const from = gradientOperands(op.operands, op.attrs);
  if (op.results[0] !== x || from.position !== position || from.angles || from.segk || !angles || !known.has(angles)) return null;
  return { ...op, operands: [...op.operands, angles], attrs: { ...op.attrs, rotated: true }, results: [at(reader.results, 0), ...op.results.slice(1)] };
}

interface ScoreGradients extends Scores {
  readonly p: Value;
  readonly ds: Value;
  readonly dHeads: Value;
  /** Turns the gradient of a rotated q or k into that before the rotation. */
  readonly back: (gradient: Value) => Value;
}

/** The probabilities P and the cotangents of the scores, dS = P∘(dP − delta) through the soft cap; both are [B, H, T, S]. */
function scoreCotangents(b: FuncBuilder, operands: GradientOperands<Value>, attrs: GradientAttrs): ScoreGradients {
  const { q, k, v, position, d, stats, segk, angles } = operands;
  const column = (start: number): Value => b.op('slice', [stats], { axis: 3, start, size: 1 });
  const line = shapeToAttr([at(q.type.shape, 0), 1, 1, at(k.type.shape, 1)]);
  const columns = segk ? b.op('convert', [segk], { to: 'f32' }) : b.op('slice', [column(2)], { axis: 1, start: 0, size: 1 });
  const s = scoresOf(b, { q, k, v, position, rows: column(2), columns: b.op('reshape', [columns], { shape: line }) }, attrs);
  const p = b.op('select', [s.visible, b.op('exp', [b.op('sub', [s.scores, column(0)])]), b.constant(0)]);
  const dHeads = s.toHeads(d);
  const dp = b.op('dot', [dHeads, s.vHeads], { batch: 2, tb: true });
  let ds = b.op('mul', [p, b.op('sub', [dp, column(1)])]);
  if (attrs.softCap !== undefined) {
    const ratio = b.op('mul', [s.scores, b.constant(1 / attrs.softCap)]);
    ds = b.op('mul', [ds, b.op('sub', [b.constant(1), b.op('mul', [ratio, ratio])])]);
  }
  const back = (gradient: Value): Value => (angles ? b.op('rope', [gradient, angles, position], { inverse: true }) : gradient);
  return { ...s, p, ds: b.op('mul', [ds, b.constant(attrs.scale)]), dHeads, back };
}

const GRADIENT_INPUTS: readonly Type[] = [f(2, 3, 4, 2), f(2, 3, 2, 2), f(2, 3, 2, 2), seg(), f(2, 3, 4, 2), f(2, 4, 3, 3)];
/** Values of stats for samples: lse and delta between 0 and 2, and segments from `ids`. */
const statsOf = (ids: readonly number[]): readonly number[] =>
  Array.from({ length: 72 }, (_, i) => (i % 3 === 2 ? at(ids, (Math.floor(i / 36) * 3 + (Math.floor(i / 3) % 3)) % ids.length) : 1 + Math.sin(i)));
const GRADIENT_SAMPLES: readonly Sample[] = [
  { types: GRADIENT_INPUTS, attrs: { scale: 0.7, causal: true }, values: { 3: [0], 5: statsOf([1, 1, 1, 0, 1, 1]) } },
  { types: GRADIENT_INPUTS, attrs: { scale: 0.7, causal: true, window: 2, softCap: 5 }, values: { 3: [0], 5: statsOf([1]) } },
  {
    types: [...GRADIENT_INPUTS, seg(2, 3), f(5, 2)],
    attrs: { scale: 0.7, causal: false, key_segments: true, rotated: true },
    values: { 3: [2], 5: statsOf([1, 1, 2, 1, 1, 2]), 6: [1, 1, 2, 1, 2, 2] },
  },
];
const gradientRejects = (attrs: Attrs): readonly Rejection[] => [
  { constraint: 'C1', types: GRADIENT_INPUTS.map((t, i) => (i === 1 ? f(2, 3, 3, 2) : t)), attrs },
  { constraint: 'C2', types: GRADIENT_INPUTS.map((t, i) => (i === 5 ? f(2, 4, 3, 2) : t)), attrs },
  { constraint: 'C3', types: [...GRADIENT_INPUTS, seg(2, 4)], attrs: { ...attrs, key_segments: true } },
  { constraint: 'C4', types: [...GRADIENT_INPUTS, f(5, 3)], attrs: { ...attrs, rotated: true } },
  { constraint: 'C5', types: GRADIENT_INPUTS, attrs: { ...attrs, window: 1.5 } },
];

/** What the definitions of both gradients share. */
const GRADIENT = { kind: 'kernel', operands: OPERANDS, attrs: ATTRS, absorbs, samples: GRADIENT_SAMPLES, rejects: gradientRejects({ scale: 1 }) } as const;

export const attentionDq = makeOp({
  ...GRADIENT,
  name: 'attention_dq',
  infer: (types, attrs) => {
    checkGradient(types, attrs, 'attention_dq');
    return types.q;
  },
  decompose: (b, operands, attrs) => {
    const { ds, kHeads, toHeads, back } = scoreCotangents(b, operands, attrs);
    return back(toHeads(b.op('dot', [ds, kHeads], { batch: 2 })));
  },
  // The scores again, their cotangents, and dQ take 2 FLOPs each.
  flops: gradientFlops(6),
});

export const attentionDkv = makeOp({
  ...GRADIENT,
  name: 'attention_dkv',
  infer: (types, attrs) => {
    checkGradient(types, attrs, 'attention_dkv');
    return [types.k, types.k];
  },
  decompose: (b, operands, attrs) => {
    const { ds, p, dHeads, qHeads, back } = scoreCotangents(b, operands, attrs);
    const [batch, keys, kvHeads, width] = operands.k.type.shape as readonly [Dim, Dim, Dim, Dim];
    const fold = (x: Value): Value => {
      const group = Number(x.type.shape[1]) / Number(kvHeads);
      const grouped = b.op('reshape', [x], { shape: shapeToAttr([batch, kvHeads, group, keys, width]) });
      const summed = b.op('reshape', [b.op('reduce_sum', [grouped], { axes: [2] })], { shape: shapeToAttr([batch, kvHeads, keys, width]) });
      return b.op('transpose', [summed], { perm: [0, 2, 1, 3] });
    };
    return [back(fold(b.op('dot', [ds, qHeads], { batch: 2, ta: true }))), fold(b.op('dot', [p, dHeads], { batch: 2, ta: true }))];
  },
  // The scores again, their cotangents, dK and dV take 2 FLOPs each.
  flops: gradientFlops(8),
});

export const attentionGradientOps = [attentionStats, attentionDq, attentionDkv] as const;
