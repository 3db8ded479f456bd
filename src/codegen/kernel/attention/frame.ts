/** @file What every attention kernel shares: its indices and buffers, scores, which keys a query sees, which part of the other side a tile walks. */

import { invariant } from '../../../errors.ts';
import { type BufferRef, type KernelBuilder, kernelBuilder } from '../builder.ts';
import { add, and, bin, builtin, call, constant, convert, div, eq, f32, le, lt, max, min, mul, sub, u32 } from '../expr.ts';
import type { Expr, Kernel, KType } from '../ir.ts';
import { within } from '../numerics.ts';
import { sizeExpr } from '../size.ts';
import type { AttentionSpec } from './spec.ts';

/** The smallest finite f32: the running maximum before any key was seen. */
export const LOWEST = -3.4028234663852886e38;

/** How the lanes that hold a row between them share it. */
export interface HeldRow {
  readonly lanes: number;
  /** Which of them this one is. */
  readonly lane: Expr;
  /** The index in a row of the i-th unit that a lane holds: of a vec4, or of an f32 where rows are bound so. */
  readonly unit: (i: number) => Expr;
}

export interface Frame {
  readonly b: KernelBuilder;
  readonly spec: AttentionSpec;
  /** Run-time counts of queries and keys. */
  readonly queries: Expr;
  readonly keys: Expr;
  readonly batch: Expr;
  readonly held: HeldRow;
}

/** Starts a kernel. */
export function startFrame(spec: AttentionSpec, workgroup: number, uses: Kernel['uses']): Omit<Frame, 'held'> {
  invariant(spec.heads % spec.kvHeads === 0, 'attention heads are a multiple of key heads');
  const b = kernelBuilder(spec.name, [workgroup, 1, 1], uses);
  return {
    b,
    spec,
    queries: b.let('queries', sizeExpr(spec.dims.queries, spec.dim)),
    keys: b.let('keys', sizeExpr(spec.dims.keys, spec.dim)),
    batch: spec.dims.batch.of.every((factor) => factor === 1) ? u32(0) : builtin('workgroupZ'),
  };
}

/** Ends a kernel whose workgroups take `per` queries of a head, or keys of a key head. Grid: x along those, y along the heads, z along the batch. */
export function finishFrame({ b, spec }: Frame, rows: 'queries' | 'keys', per: number): Kernel {
  return b.finish([
    { of: spec.dims[rows].of, per },
    { of: [rows === 'queries' ? spec.heads : spec.kvHeads], per: 1 },
    { of: spec.dims.batch.of, per: 1 },
  ]);
}

/** The buffers of attention kernels. Whoever binds them goes by these names; in which order they are declared is each kernel's affair. */
export type AttentionBuffer = keyof typeof SHAPES;
const SHAPES = {
  q: '[B, T, H, D]',
  k: '[B, S, Hkv, D]',
  v: '[B, S, Hkv, D]',
  out: '[B, T, H, D]',
  dout: '[B, T, H, D]',
  dq: '[B, T, H, D]',
  dk: '[B, S, Hkv, D]',
  dv: '[B, S, Hkv, D]',
  /** log Σ exp of the scores. */
  lse: '[B, H, T]',
  /** For each query its lse, Σ over D of dout · out, and its segment as f32. */
  stats: '[B, H, T, 3]',
  segQ: 'i32 [B, T]',
  segK: 'i32 [B, S]',
  /** cos of a position's D/2 angles, then sin of them. */
  angles: '[positions, D]',
} as const;

/** Declares a buffer that is read. */
export function input({ b }: Pick<Frame, 'b'>, name: AttentionBuffer, element: KType): BufferRef {
  return b.buffer(name, element, 'read');
}

/** Declares a buffer that is written. */
export function output({ b }: Pick<Frame, 'b'>, name: AttentionBuffer, element: KType): BufferRef {
  return b.buffer(name, element, 'read_write');
}

/** Whether rows are bound as vec4. */
export const isWide = (spec: AttentionSpec): boolean => spec.headDim % 4 === 0;

/** The element type of q, k, v and the like. */
export function rowType(spec: AttentionSpec): 'vec4f' | 'f32' {
  return isWide(spec) ? 'vec4f' : 'f32';
}

/** Units of a row, vec4s or f32s, as it is bound. */
export function rowUnits(spec: AttentionSpec): number {
  return isWide(spec) ? spec.headDim / 4 : spec.headDim;
}

/** Where a row of [B, length, heads, D] starts, in elements of its buffer (vec4 or f32). */
export function rowStart(frame: Frame, name: string, length: Expr, heads: number, index: Expr, head: Expr): Expr {
  const row = add(mul(add(mul(frame.batch, length), index), u32(heads)), head);
  return frame.b.let(name, mul(row, u32(rowUnits(frame.spec))));
}

/** The key head that a head reads. */
export function keyHeadOf({ b, spec }: Frame, head: Expr): Expr {
  return b.let('kv_head', div(head, u32(spec.heads / spec.kvHeads)));
}

/** softCap · tanh(s / softCap); the argument is kept where every device's tanh is finite. */
export function capped(frame: Frame, score: Expr): Expr {
  const { softCap } = frame.spec;
  if (softCap === null) return score;
  const inner = frame.b.let('inner', mul(score, f32(1 / softCap)));
  return frame.b.let('capped', mul(f32(softCap), call('tanh', within(inner, 15))));
}

/** `ds` times d capped / d score = 1 − (capped / softCap)². */
export function uncapped(frame: Frame, score: Expr, ds: Expr): Expr {
  const { softCap } = frame.spec;
  if (softCap === null) return ds;
  const ratio = frame.b.let('ratio', mul(score, f32(1 / softCap)));
  return mul(ds, sub(f32(1), mul(ratio, ratio)));
}

/** What the forward kernels read. */
export interface ForwardInputs {
  readonly q: BufferRef;
  readonly k: BufferRef;
  readonly v: BufferRef;
  /** The segment of a query and of a key; null where there are no segments. */
  readonly segment: { readonly query: (index: Expr) => Expr | null; readonly key: (index: Expr) => Expr | null };
}

export function forwardInputs(frame: Frame): ForwardInputs {
  const { b, spec, batch, queries, keys } = frame;
  const type = rowType(spec);
  const [q, k, v] = [input(frame, 'q', type), input(frame, 'k', type), input(frame, 'v', type)];
  if (spec.segments === false) return { q, k, v, segment: { query: () => null, key: () => null } };
  const segQ = input(frame, 'segQ', 'i32');
  const segK = spec.segments === 'shared' ? segQ : input(frame, 'segK', 'i32');
  const query = (index: Expr): Expr => b.let('seg_q', segQ.load(add(mul(batch, queries), index)));
  return { q, k, v, segment: { query, key: (index) => b.let('seg_k', segK.load(add(mul(batch, keys), index))) } };
}

/** The scalars of a query: its log-sum-exp, Σ dout · out, and its segment as f32. */
export interface QueryScalars {
  readonly lse: Expr;
  readonly delta: Expr;
  readonly segment: Expr | null;
}

/** What the kernels of gradients read. With dK, dV and the angles they bind eight buffers. */
export interface GradientInputs {
  readonly q: BufferRef;
  readonly k: BufferRef;
  readonly v: BufferRef;
  readonly dout: BufferRef;
  readonly scalars: (head: Expr, query: Expr) => QueryScalars;
  /** The segment of a key, as f32; null where there are no segments. */
  readonly segment: (key: Expr) => Expr | null;
}

/** Floats of a query in `stats`. */
export const STATS = 3;

export function gradientInputs(frame: Frame): GradientInputs {
  const { b, spec } = frame;
  const type = rowType(spec);
  const [q, k, v, dout] = [input(frame, 'q', type), input(frame, 'k', type), input(frame, 'v', type), input(frame, 'dout', type)];
  const stats = input(frame, 'stats', 'f32');
  const segK = spec.segments === true ? input(frame, 'segK', 'i32') : null;
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

/** What visibility asks of a query and a key: the query's shifted index, the key's own, their segments. */
export interface PairPlace {
  readonly at: Expr;
  readonly key: Expr;
  readonly segQ: Expr | null;
  readonly segK: Expr | null;
}

/** Whether a query sees a key; null where every query sees every key. */
export function visible(frame: Frame, { at, key, segQ, segK }: PairPlace): Expr | null {
  const { causal, window } = frame.spec;
  const conditions: Expr[] = [];
  if (causal) conditions.push(le(key, at));
  if (window !== null) conditions.push(lt(at, add(key, u32(window))));
  if (segQ !== null && segK !== null) conditions.push(eq(segQ, segK), bin('!=', segQ, constant(segQ.type, 0)));
  const all = conditions.reduce<Expr | null>((left, right) => (left === null ? right : and(left, right)), null);
  return all === null ? null : frame.b.let('sees', all);
}

/** A range of indices, its end not in it. */
export interface Range {
  readonly from: Expr;
  readonly to: Expr;
}

/** The keys that queries first … last (unshifted) can see, segments aside. */
export function keyRange(frame: Frame, first: Expr, last: Expr): Range {
  const { b, spec, keys } = frame;
  const from = spec.window === null ? u32(0) : b.let('first_key', sub(max(add(shifted(frame, first), u32(1)), u32(spec.window)), u32(spec.window)));
  const to = spec.causal ? b.let('end_key', min(keys, add(shifted(frame, last), u32(1)))) : keys;
  return { from, to };
}

/** The queries that can see some of the keys first … last, segments aside. */
export function queryRange(frame: Frame, first: Expr, last: Expr): Range {
  const { b, spec, queries } = frame;
  const { position } = spec;
  const unshifted = (index: Expr): Expr => (position === null ? index : sub(max(index, position), position));
  const from = spec.causal ? b.let('first_query', unshifted(first)) : u32(0);
  const to = spec.window === null ? queries : b.let('end_query', min(queries, unshifted(add(last, u32(spec.window)))));
  return { from, to };
}
