/** @file `attention %q, %k, %v, %segq, %segk, %position {scale, causal, window?, softCap?}`. Its backward ops are in ./attentionGradients.ts.
 * Operands: q [B, T, H, D]; k, v [B, S, Hkv, D] (query head h reads key head ⌊h·Hkv/H⌋); segments i32 [B, T] and [B, S]; position i32[].
 * Results: out [B, T, H, D], and lse [B, H, T], the log-sum-exp of the visible scores. A query that sees no key has out 0 and lse 0.
 * Query i sees key j if segk[j] = segq[i] ≠ 0; with `causal` only if j ≤ i + position, with `window` only if i + position − j < window.
 * The derivative is that of Dao et al. 2022 (FlashAttention), computed from the saved out and lse.
 *
 * - (C1) ranks, head widths, batch and head counts agree. (C2) segments and position are i32 of the shapes above.
 * - (C3) the window is a whole number, 1 or more.
 */

import { type Cost, leastOf, productOf, sumOf } from '../../cost.ts';
import type { AttrsOf } from '../attributes.ts';
import { constraint } from '../constraint.ts';
import { type FuncBuilder, makeOp, type Sample, shapeToAttr } from '../define.ts';
import { bindOperands, type Named } from '../operands.ts';
import { type Attrs, type Dim, sameShape, type Type, typeText, type Value } from '../types.ts';

/** Attributes of attention and of its gradients: how the scores are computed, and which are visible. */
export const SCORES = { scale: 'number', causal: 'boolean', window: 'number?', softCap: 'number?' } as const;
type ScoreAttrs = AttrsOf<typeof SCORES>;

const OPERANDS = { q: 'f32', k: 'f32', v: 'f32', segq: 'i32', segk: 'i32', position: 'i32' } as const;

/** Operands of `attention` by name. */
export const attentionOperands = <T>(operands: readonly T[], attrs: Attrs): Named<typeof OPERANDS, T> => bindOperands(OPERANDS, operands, attrs);

/** Sizes of a tensor of heads: [batch, tokens, heads, headDim]. */
type Heads = readonly [batch: Dim, tokens: Dim, heads: Dim, headDim: Dim];
const headsOf = ({ shape }: Type): Heads => shape as Heads;

export function checkHeads({ q, k, v }: { readonly q: Type; readonly k: Type; readonly v: Type }, name: string): void {
  const [batch, , heads, width] = q.shape;
  const [kBatch, , kvHeads, kWidth] = k.shape;
  constraint(
    q.shape.length === 4 &&
      sameShape(k.shape, v.shape) &&
      batch === kBatch &&
      width === kWidth &&
      typeof heads === 'number' &&
      typeof kvHeads === 'number' &&
      heads % kvHeads === 0,
    name,
    'C1',
    () =>
      `q must be [batch, tokens, heads, headDim] and k, v [batch, keys, kvHeads, headDim] with kvHeads dividing heads, found ${typeText(q)}, ${typeText(k)}, ${typeText(v)}`,
  );
}

function checkForward({ q, k, v, segq, segk, position }: Named<typeof OPERANDS, Type>): void {
  const name = 'attention';
  checkHeads({ q, k, v }, name);
  const [batch, tokens] = headsOf(q);
  const [, keys] = headsOf(k);
  constraint(
    sameShape(segq.shape, [batch, tokens]) && sameShape(segk.shape, [batch, keys]) && position.shape.length === 0,
    name,
    'C2',
    () => `segments must be i32[batch, tokens] and i32[batch, keys], position i32[], found ${typeText(segq)}, ${typeText(segk)}, ${typeText(position)}`,
  );
}

export function lseType(q: Type): Type {
  const [batch, tokens, heads] = headsOf(q);
  return { dtype: 'f32', shape: [batch, heads, tokens] };
}

/** Checks constraint `id` of the op `name`: a window is a whole number, 1 or more. */
export function checkWindow(window: number | undefined, name: string, id: string): void {
  constraint(
    window === undefined || (Number.isInteger(window) && window >= 1),
    name,
    id,
    () => `the window must be a whole number, 1 or more, found ${JSON.stringify(window)}`,
  );
}

/** 1 + 2 + … + n. */
const triangle = (n: Cost): Cost => productOf([0.5, n, sumOf([n, 1])]);
const minus = (a: Cost | Dim, b: Cost | Dim): Cost => sumOf([a, productOf([-1, b])]);

/**
 * Number of (query, key) pairs that can be visible, for one head of one sequence. Segments and padding are data, so they hide nothing here.
 * `position` is data too, and is taken to be max(0, keys − tokens), as if the queries were the last of the keys. In training, with as many
 * keys as queries, it is 0; in generation this is the position at which the cache is full.
 */
function visiblePairs(tokens: Dim, keys: Dim, causal: boolean, window: number | undefined): Cost {
  const fewer = leastOf([[tokens], [keys]]);
  // Causality hides a triangle among `fewer` queries and `fewer` keys. Any further queries see all keys, and any further keys are seen by all queries.
  const later = causal ? triangle(minus(fewer, 1)) : [];
  const notLater = minus(productOf([tokens, keys]), later);
  if (window === undefined) return notLater;
  // The window hides the earliest max(tokens, keys) − window keys from the last query, and one key less from each query before it. The parts of
  // this triangle that lie before the first query or behind the last key are smaller triangles, and are not counted.
  const longer = minus(sumOf([tokens, keys]), fewer);
  const near = minus(sumOf([leastOf([[tokens], [window]]), leastOf([[keys], [window]])]), leastOf([[tokens], [keys], [window]]));
  const early = minus(
    triangle(minus(longer, near)),
    sumOf([triangle(minus(keys, leastOf([[keys], [tokens, window]]))), triangle(minus(tokens, leastOf([[tokens], [keys, window]])))]),
  );
  return minus(notLater, early);
}

/** `perPair` FLOPs for each element of a head and each visible pair. */
export function pairFlops(q: Type, k: Type, { causal, window }: Pick<ScoreAttrs, 'causal' | 'window'>, perPair: number): Cost {
  const [batch, tokens, heads, width] = headsOf(q);
  const [, keys] = headsOf(k);
  return productOf([perPair, batch, heads, width, visiblePairs(tokens, keys, causal, window)]);
}

export interface Scores {
  /** Scaled, capped scores [B, H, T, S]; `visible` says of each whether its query sees its key. */
  readonly scores: Value;
  readonly visible: Value;
  readonly toHeads: (x: Value) => Value;
  readonly kHeads: Value;
  readonly vHeads: Value;
  readonly qHeads: Value;
}

/** [B, S, Hkv, D] → [B, H, S, D]: each key head is repeated for the query heads that read it. */
function repeatHeads(b: FuncBuilder, x: Value, heads: number): Value {
  const [batch, keys, kvHeads, width] = headsOf(x.type);
  const group = heads / Number(kvHeads);
  const moved = b.op('transpose', [x], { perm: [0, 2, 1, 3] });
  if (group === 1) return moved;
  const column = b.op('reshape', [moved], { shape: shapeToAttr([batch, kvHeads, 1, keys, width]) });
  const repeated = b.op('broadcast', [column], { shape: shapeToAttr([batch, kvHeads, group, keys, width]) });
  return b.op('reshape', [repeated], { shape: shapeToAttr([batch, heads, keys, width]) });
}

/** `rows` are the segments of the queries, [B, H or 1, T, 1]; `columns` are those of the keys, [B, 1, 1, S], in the same dtype. */
interface ScoreInputs {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  readonly position: Value;
  readonly rows: Value;
  readonly columns: Value;
}

export function scoresOf(b: FuncBuilder, { q, k, v, position, rows, columns }: ScoreInputs, { scale, causal, window, softCap }: ScoreAttrs): Scores {
  const [, tokens, heads] = headsOf(q.type);
  const [, keys] = headsOf(k.type);
  const toHeads = (x: Value): Value => b.op('transpose', [x], { perm: [0, 2, 1, 3] });
  const qHeads = toHeads(q);
  const kHeads = repeatHeads(b, k, Number(heads));
  const raw = b.op('mul', [b.op('dot', [qHeads, kHeads], { batch: 2, tb: true }), b.constant(scale)]);
  const scores = softCap === undefined ? raw : b.op('mul', [b.op('tanh', [b.op('mul', [raw, b.constant(1 / softCap)])]), b.constant(softCap)]);
  const square = shapeToAttr([1, 1, tokens, keys]);
  const i = b.op('add', [b.op('iota', [], { shape: square, axis: 2 }), position]);
  const j = b.op('iota', [], { shape: square, axis: 3 });
  const padding = b.op('eq', [rows, b.constant(0, rows.type.dtype)]);
  let visible = b.op('and', [b.op('eq', [rows, columns]), b.op('not', [padding])]);
  if (causal) visible = b.op('and', [visible, b.op('le', [j, i])]);
  if (window !== undefined) visible = b.op('and', [visible, b.op('lt', [b.op('sub', [i, j]), b.constant(window, 'i32')])]);
  return { scores, visible, toHeads, kHeads, vHeads: repeatHeads(b, v, Number(heads)), qHeads };
}

const f = (...shape: number[]): Type => ({ dtype: 'f32', shape });
const seg = (...shape: number[]): Type => ({ dtype: 'i32', shape });
const INPUTS: readonly Type[] = [f(2, 3, 4, 2), f(2, 3, 2, 2), f(2, 3, 2, 2), seg(2, 3), seg(2, 3), seg()];
const SEGMENTS = { 3: [1, 1, 1, 0, 1, 1], 4: [1, 1, 1, 0, 1, 1], 5: [0] };
const SAMPLES: readonly Sample[] = [
  { types: INPUTS, attrs: { scale: 0.7, causal: true }, values: SEGMENTS },
  { types: INPUTS, attrs: { scale: 0.7, causal: true, window: 2, softCap: 5 }, values: SEGMENTS },
  { types: INPUTS, attrs: { scale: 0.7, causal: false }, values: { ...SEGMENTS, 3: [1, 1, 2, 1, 1, 2], 4: [1, 1, 2, 1, 2, 2] } },
];

export const attention = makeOp({
  name: 'attention',
  kind: 'kernel',
  operands: OPERANDS,
  attrs: SCORES,
  infer: (types, { window }) => {
    checkForward(types);
    checkWindow(window, 'attention', 'C3');
    return [types.q, lseType(types.q)];
  },
  decompose: (b, { q, k, v, segq, segk, position }, attrs) => {
    const [of, queries] = headsOf(q.type);
    const rows = b.op('reshape', [segq], { shape: shapeToAttr([of, 1, queries, 1]) });
    const columns = b.op('reshape', [segk], { shape: shapeToAttr([of, 1, 1, headsOf(k.type)[1]]) });
    const { scores, visible, vHeads } = scoresOf(b, { q, k, v, position, rows, columns }, attrs);
    const [batch, heads, tokens] = scores.type.shape as Heads;
    const masked = b.op('select', [visible, scores, b.constant(-1e30)]);
    const top = b.op('stop_gradient', [b.op('reduce_max', [masked], { axes: [3] })]);
    const e = b.op('select', [visible, b.op('exp', [b.op('sub', [masked, top])]), b.constant(0)]);
    const total = b.op('reduce_sum', [e], { axes: [3] });
    const none = b.op('eq', [total, b.constant(0)]);
    const safe = b.op('select', [none, b.constant(1), total]);
    const out = b.op('transpose', [b.op('dot', [b.op('div', [e, safe]), vHeads], { batch: 2 })], { perm: [0, 2, 1, 3] });
    const lse = b.op('select', [none, b.constant(0), b.op('add', [b.op('log', [safe]), top])]);
    return [out, b.op('reshape', [lse], { shape: shapeToAttr([batch, heads, tokens]) })];
  },
  // Only the backward reads lse, so no cotangent of it arrives, and none is supported.
  vjp: ({ b, d, results, raw, needs }, { q, k, v, segq, segk, position }) => {
    const [out, lse] = results as readonly [Value, Value];
    const stats = b.op('attention_stats', [out, d, lse, segq], {}, 'stats');
    const inputs = [q, k, v, position, d, stats, ...(segk === segq ? [] : [segk])];
    const how = segk === segq ? raw : { ...raw, key_segments: true };
    const dq = needs.q ? b.op('attention_dq', inputs, how, 'dq') : null;
    const [dk = null, dv = null] = needs.k || needs.v ? b.ops('attention_dkv', inputs, how, ['dk', 'dv']) : [];
    return { q: dq, k: dk, v: dv };
  },
  // The scores and the weighted sum of the values take 2 FLOPs each.
  flops: ({ q, k }, _results, attrs) => pairFlops(q, k, attrs, 4),
  samples: SAMPLES,
  rejects: [
    { constraint: 'C1', types: [f(2, 3, 4, 2), f(2, 3, 3, 2), f(2, 3, 3, 2), seg(2, 3), seg(2, 3), seg()], attrs: { scale: 1 } },
    { constraint: 'C2', types: [f(2, 3, 4, 2), f(2, 3, 2, 2), f(2, 3, 2, 2), seg(2, 4), seg(2, 3), seg()], attrs: { scale: 1 } },
    { constraint: 'C3', types: INPUTS, attrs: { scale: 1, window: 0 } },
  ],
});
