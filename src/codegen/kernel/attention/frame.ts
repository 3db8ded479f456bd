/** @file What the attention kernels share: indices, rows held in registers as vec4 chunks, scores, visibility. */

import { invariant } from '../../../errors.ts';
import { type BufferRef, type KernelBuilder, kernelBuilder, type Variable } from '../builder.ts';
import { add, and, bin, builtin, call, component, constant, convert, div, eq, f32, le, lt, max, min, mul, rem, splat, sub, u32, vec } from '../expr.ts';
import type { Expr, KType } from '../ir.ts';
import { within } from '../numerics.ts';
import { sizeExpr } from '../size.ts';
import type { AttentionSchedule } from './schedule.ts';
import type { AttentionSpec } from './spec.ts';

/** The smallest finite f32: the running maximum before any key was seen. */
export const LOWEST = -3.4028234663852886e38;

/** A schedule of either kind. */
interface Cut {
  readonly kind: AttentionSchedule['kind'];
  readonly lanes: number;
  readonly rows: number;
  readonly splits: number;
  readonly dimLanes: number;
}

export interface Frame {
  readonly b: KernelBuilder;
  readonly spec: AttentionSpec;
  readonly schedule: Cut;
  /** vec4 chunks of a row that this lane holds, counted from 0. */
  readonly chunks: readonly number[];
  /** Run-time counts of queries and keys. */
  readonly queries: Expr;
  readonly keys: Expr;
  readonly batch: Expr;
  readonly lane: { readonly dim: Expr; readonly split: Expr; readonly row: Expr };
}

/** Starts a kernel; `buffers` are then declared in their documented order. */
export function attentionFrame(name: string, spec: AttentionSpec, given: AttentionSchedule): Frame {
  const schedule: Cut = given.kind === 'rows' ? given : { ...given, splits: 1, dimLanes: 1 };
  const { lanes, splits, dimLanes } = schedule;
  const chunks = Math.ceil(spec.headDim / 4);
  invariant(spec.heads % spec.kvHeads === 0, 'attention heads are a multiple of key heads');
  invariant(Number.isInteger(Math.log2(splits)), 'splits merge by halves');
  invariant(dimLanes === 1 || (spec.headDim % 4 === 0 && chunks % dimLanes === 0), 'lanes divide the head dimension');
  const uses = schedule.kind === 'spread' ? { subgroups: true, subgroupSize: lanes } : dimLanes > 1 ? { subgroups: true } : {};
  const b = kernelBuilder(name, [dimLanes * splits * lanes, 1, 1], uses);
  const local = builtin('localX');
  return {
    b,
    spec,
    schedule,
    chunks: Array.from({ length: chunks / dimLanes }, (_, c) => c),
    queries: b.let('queries', sizeExpr(spec.dims.queries, spec.dim)),
    keys: b.let('keys', sizeExpr(spec.dims.keys, spec.dim)),
    batch: spec.dims.batch.of.every((factor) => factor === 1) ? u32(0) : builtin('workgroupZ'),
    lane: {
      dim: dimLanes === 1 ? u32(0) : b.let('lane_dim', rem(local, u32(dimLanes))),
      // splits vary slowest: the lanes of a subgroup walk together, and what they load is the same
      split: splits === 1 ? u32(0) : b.let('lane_split', div(local, u32(dimLanes * lanes))),
      row: lanes === 1 ? u32(0) : b.let('lane_row', splits === 1 ? div(local, u32(dimLanes)) : rem(div(local, u32(dimLanes)), u32(lanes))),
    },
  };
}

/** Whether rows are bound as vec4. */
export const isWide = (spec: AttentionSpec): boolean => spec.headDim % 4 === 0;

/** The element type of q, k, v and the like. */
export function rowType(spec: AttentionSpec): KType {
  return isWide(spec) ? 'vec4f' : 'f32';
}

/** Where a row of [B, length, heads, D] starts, in elements of its buffer (vec4 or f32). */
export function rowStart(frame: Frame, name: string, length: Expr, heads: number, index: Expr, head: Expr): Expr {
  const { b, spec, batch } = frame;
  const row = add(mul(add(mul(batch, length), index), u32(heads)), head);
  return b.let(name, mul(row, u32(spec.headDim % 4 === 0 ? spec.headDim / 4 : spec.headDim)));
}

/** The index in a row of the c-th chunk a lane holds. */
export function chunkOf(frame: Frame, c: number): Expr {
  return frame.schedule.dimLanes === 1 ? u32(c) : add(frame.lane.dim, u32(c * frame.schedule.dimLanes));
}

/** Loads chunk c of a row; elements past the head dimension are 0. */
export function loadChunk(frame: Frame, from: BufferRef, start: Expr, c: number): Expr {
  const { headDim } = frame.spec;
  if (headDim % 4 === 0) return from.load(add(start, chunkOf(frame, c)));
  return vec(
    'vec4f',
    [0, 1, 2, 3].map((i) => (c * 4 + i < headDim ? from.load(add(start, u32(c * 4 + i))) : f32(0))),
  );
}

export function loadRow(frame: Frame, name: string, from: BufferRef, start: Expr): Expr[] {
  return frame.chunks.map((c) => frame.b.let(`${name}_${c}`, loadChunk(frame, from, start, c)));
}

export function storeRow(frame: Frame, to: BufferRef, start: Expr, values: readonly Expr[]): void {
  const { headDim } = frame.spec;
  values.forEach((value, c) => {
    if (headDim % 4 === 0) to.store(add(start, chunkOf(frame, c)), value);
    else for (let i = 0; i < 4 && c * 4 + i < headDim; i++) to.store(add(start, u32(c * 4 + i)), component(value, i));
  });
}

/** Σ over the whole head dimension of two rows, also where several lanes hold them. */
export function rowDot(frame: Frame, name: string, a: readonly Expr[], c: readonly Expr[]): Expr {
  let sum: Expr | null = null;
  a.forEach((chunk, i) => {
    const other = c[i];
    invariant(other !== undefined, 'rows of one length');
    const product = call('dot', chunk, other);
    sum = sum === null ? product : add(sum, product);
  });
  let total = frame.b.let(name, sum ?? f32(0));
  for (let mask = 1; mask < frame.schedule.dimLanes; mask *= 2) {
    total = frame.b.let(name, add(total, call('subgroupShuffleXor', total, u32(mask))));
  }
  return total;
}

/** vec4 sums of one row. */
export function rowSums(frame: Frame, name: string): Variable[] {
  return frame.chunks.map((c) => frame.b.var(`${name}_${c}`, 'vec4f', splat('vec4f', f32(0))));
}

export const scaled = (row: readonly Expr[], by: Expr): Expr[] => row.map((chunk) => mul(chunk, splat('vec4f', by)));

export function addScaled(sums: readonly Variable[], row: readonly Expr[], by: Expr): void {
  sums.forEach((sum, i) => {
    sum.set(add(sum.get, mul(row[i] ?? sum.get, splat('vec4f', by))));
  });
}

/** softCap · tanh(s / softCap); the argument is kept where every device's tanh is finite. */
export function capped(frame: Frame, score: Expr): Expr {
  const { softCap } = frame.spec;
  if (softCap === null) return score;
  const inner = frame.b.let('inner', mul(score, f32(1 / softCap)));
  return frame.b.let('capped', mul(f32(softCap), call('tanh', within(inner, 15))));
}

/** d capped / d score = 1 − (capped / softCap)². */
export function capSlope(frame: Frame, score: Expr): Expr | null {
  const { softCap } = frame.spec;
  if (softCap === null) return null;
  const ratio = frame.b.let('ratio', mul(score, f32(1 / softCap)));
  return sub(f32(1), mul(ratio, ratio));
}

interface Inputs {
  readonly q: BufferRef;
  readonly k: BufferRef;
  readonly v: BufferRef;
  readonly seg: { readonly q: BufferRef; readonly k: BufferRef } | null;
}
/** Of a query: log-sum-exp, Σ dout · out, and its segment (f32). */
export interface QueryScalars {
  readonly lse: Expr;
  readonly delta: Expr;
  readonly segment: Expr | null;
}
export interface GradientInputs {
  readonly q: BufferRef;
  readonly k: BufferRef;
  readonly v: BufferRef;
  readonly dout: BufferRef;
  readonly scalars: (head: Expr, query: Expr) => QueryScalars;
  /** The segment of a key, f32. */
  readonly segment: (key: Expr) => Expr | null;
}

function segmentBuffers({ b, spec }: Frame): Inputs['seg'] {
  if (!spec.segments) return null;
  const q = b.buffer('segQ', 'i32', 'read');
  return { q, k: spec.segments === 'shared' ? q : b.buffer('segK', 'i32', 'read') };
}

/** Declares q, k, v (then segQ, and segK where they are not the same). */
export function forwardInputs(frame: Frame): Inputs {
  const [q, k, v] = ['q', 'k', 'v'].map((name) => frame.b.buffer(name, rowType(frame.spec), 'read')) as [BufferRef, BufferRef, BufferRef];
  return { q, k, v, seg: segmentBuffers(frame) };
}

/** Floats of a query in `stats`. */
export const STATS = 3;

/** Declares q, k, v, dout, stats (then segK where keys have segments of their own): dK and dV bind eight buffers, angles included. */
export function gradientInputs(frame: Frame): GradientInputs {
  const { b, spec } = frame;
  const [q, k, v, dout] = ['q', 'k', 'v', 'dout'].map((name) => b.buffer(name, rowType(spec), 'read')) as [BufferRef, BufferRef, BufferRef, BufferRef];
  const stats = b.buffer('stats', 'f32', 'read');
  const segK = spec.segments === true ? b.buffer('segK', 'i32', 'read') : null;
  const stat = (head: Expr, query: Expr, i: number): Expr => stats.load(add(mul(scalarIndex(frame, head, query), u32(STATS)), u32(i)));
  return {
    q,
    k,
    v,
    dout,
    scalars: (head, query) => ({
      lse: b.let('lse_q', stat(head, query, 0)),
      delta: b.let('delta_q', stat(head, query, 1)),
      segment: spec.segments === false ? null : b.let('seg_q', stat(head, query, 2)),
    }),
    segment: (key) => {
      if (spec.segments === false) return null;
      return b.let('seg_k', segK === null ? stat(u32(0), key, 2) : convert('f32', segK.load(add(mul(frame.batch, frame.keys), key))));
    },
  };
}

/** Where the scalars of a query lie in [B, H, T]. */
export function scalarIndex({ spec, batch, queries }: Frame, head: Expr, query: Expr): Expr {
  return add(mul(add(mul(batch, u32(spec.heads)), head), queries), query);
}

/** The query index that causality and window compare with. */
export function shifted(frame: Frame, query: Expr): Expr {
  return frame.spec.position === null ? query : add(query, frame.spec.position);
}

/** Whether a key is visible; `at` is the shifted query index. null: always. */
export function visible(frame: Frame, at: Expr, key: Expr, segments: { q: Expr; k: Expr } | null): Expr | null {
  const { causal, window } = frame.spec;
  const conditions: Expr[] = [];
  if (causal) conditions.push(le(key, at));
  if (window !== null) conditions.push(lt(at, add(key, u32(window))));
  if (segments !== null) conditions.push(eq(segments.q, segments.k), bin('!=', segments.q, constant(segments.q.type, 0)));
  const all = conditions.reduce<Expr | null>((left, right) => (left === null ? right : and(left, right)), null);
  return all === null ? null : frame.b.let('sees', all);
}

/** [first, end) of the keys that queries first … last (unshifted) can see, segments aside. */
export function keyRange(frame: Frame, first: Expr, last: Expr): [Expr, Expr] {
  const { b, spec, keys } = frame;
  const from = spec.window === null ? u32(0) : b.let('first_key', sub(max(add(shifted(frame, first), u32(1)), u32(spec.window)), u32(spec.window)));
  const to = spec.causal ? b.let('end_key', min(keys, add(shifted(frame, last), u32(1)))) : keys;
  return [from, to];
}

/** [first, end) of the queries that can see some of the keys first … last, segments aside. */
export function queryRange(frame: Frame, first: Expr, last: Expr): [Expr, Expr] {
  const { b, spec, queries } = frame;
  const position = spec.position ?? u32(0);
  const unshift = (index: Expr): Expr => (spec.position === null ? index : sub(max(index, position), position));
  const from = spec.causal ? b.let('first_query', unshift(first)) : u32(0);
  const to = spec.window === null ? queries : b.let('end_query', min(queries, unshift(add(last, u32(spec.window)))));
  return [from, to];
}
