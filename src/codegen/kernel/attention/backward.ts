/** @file Streaming attention, backward (FlashAttention-2): delta, then dQ, then dK and dV from the saved log-sum-exp. No atomics. */

import type { BufferRef, Variable } from '../builder.ts';
import { add, builtin, call, convert, div, f32, ge, hiddenBound, min, mul, rem, select, sub, u32 } from '../expr.ts';
import type { Expr, Kernel } from '../ir.ts';
import { sizeExpr } from '../size.ts';
import {
  addScaled,
  attentionFrame,
  capped,
  capSlope,
  type Frame,
  gradientInputs,
  keyRange,
  loadRow,
  queryRange,
  rowDot,
  rowStart,
  rowSums,
  rowType,
  STATS,
  scaled,
  shifted,
  storeRow,
  visible,
} from './frame.ts';
import { angleBuffer, turnedRow } from './rotation.ts';
import type { AttentionSchedule } from './schedule.ts';
import type { AttentionSpec } from './spec.ts';
import { counts, mergeSplits, partialSums, splitWalk, stores } from './splits.ts';
import { subgroupKeyGradient, subgroupQueryGradient } from './subgroup.ts';

/** Buffers: dout, out [B,T,H,D], lse [B,H,T], (segQ [B,T],) stats [B,H,T,3]: lse, delta = Σ over D of dout · out, segment. One invocation a row. */
export function attentionStats(spec: AttentionSpec): Kernel {
  const per = 64;
  const frame = attentionFrame(spec.name, spec, { kind: 'rows', lanes: per, rows: 1, splits: 1, dimLanes: 1 });
  const { b, queries } = frame;
  const dout = b.buffer('dout', rowType(spec), 'read');
  const out = b.buffer('out', rowType(spec), 'read');
  const lse = b.buffer('lse', 'f32', 'read');
  const segQ = spec.segments === false ? null : b.buffer('segQ', 'i32', 'read');
  const stats = b.buffer('stats', 'f32', 'read_write');
  const row = b.let('row', add(mul(b.linearWorkgroup(), u32(per)), builtin('localX')));
  b.if(ge(row, mul(mul(sizeExpr(spec.dims.batch, spec.dim), queries), u32(spec.heads))), () => b.return());
  const units = spec.headDim % 4 === 0 ? spec.headDim / 4 : spec.headDim;
  const start = b.let('start', mul(row, u32(units)));
  const sum = b.var('sum', 'f32', f32(0));
  b.for('d', u32(0), hiddenBound(units), u32(1), (d) => {
    const [left, right] = [dout.load(add(start, d)), out.load(add(start, d))];
    sum.set(add(sum.get, left.type === 'f32' ? mul(left, right) : call('dot', left, right)));
  });
  const head = rem(row, u32(spec.heads));
  const token = b.let('token', div(row, u32(spec.heads)));
  const at = b.let('at', add(mul(add(mul(div(token, queries), u32(spec.heads)), head), queries), rem(token, queries)));
  const of = b.let('of', mul(at, u32(STATS)));
  stats.store(of, lse.load(at));
  stats.store(add(of, u32(1)), sum.get);
  stats.store(add(of, u32(2)), segQ === null ? f32(0) : convert('f32', segQ.load(token)));
  const { batch, queries: t } = spec.dims;
  return b.finish([
    { of: [...batch.of, ...t.of, spec.heads], per },
    { of: [1], per: 1 },
    { of: [1], per: 1 },
  ]);
}

/** What one (query, key) pair needs; q or k already carries the scale. */
interface Pair {
  readonly q: readonly Expr[];
  readonly k: readonly Expr[];
  readonly v: readonly Expr[];
  readonly dout: readonly Expr[];
  readonly lse: Expr;
  readonly delta: Expr;
  readonly sees: Expr | null;
}

/** The weight p of a pair and the gradient ds of its unscaled score. */
function pairGradient(frame: Frame, pair: Pair): { p: Expr; ds: Expr } {
  const { b } = frame;
  const score = capped(frame, rowDot(frame, 'score', pair.q, pair.k));
  const raw = call('exp', sub(score, pair.lse));
  const p = b.let('p', pair.sees === null ? raw : select(f32(0), raw, pair.sees));
  const dp = rowDot(frame, 'dp', pair.dout, pair.v);
  const slope = capSlope(frame, score);
  const ds = mul(p, sub(dp, pair.delta));
  return { p, ds: b.let('ds', slope === null ? ds : mul(ds, slope)) };
}

/** The sums of dq or dk as they are stored: scaled, and turned back where q and k were rotated. */
function finished(frame: Frame, angles: BufferRef | null, at: Expr, sums: readonly Variable[]): readonly Expr[] {
  const row = scaled(
    sums.map((sum) => sum.get),
    f32(frame.spec.scale),
  );
  return turnedRow(frame, angles, at, row);
}

/** Buffers: q, k, v, dout, stats (then segK, angles), then dq [B,T,H,D]. */
export function attentionQueryGradient(spec: AttentionSpec, schedule: AttentionSchedule): Kernel {
  if (schedule.kind === 'spread') return subgroupQueryGradient(spec, schedule);
  const frame = attentionFrame(spec.name, spec, schedule);
  const { b, queries, keys, lane } = frame;
  const from = gradientInputs(frame);
  const angles = angleBuffer(frame);
  const dq = b.buffer('dq', rowType(spec), 'read_write');
  const perGroup = schedule.lanes * schedule.rows;
  const head = builtin('workgroupY');
  const kvHead = b.let('kv_head', div(head, u32(spec.heads / spec.kvHeads)));
  const tile = b.let('tile', mul(builtin('workgroupX'), u32(perGroup)));
  const rows = Array.from({ length: schedule.rows }, (_, r) => {
    const index = b.let('query', add(add(tile, lane.row), u32(r * schedule.lanes)));
    const inside = b.let('query_in', min(index, sub(queries, u32(1))));
    const start = rowStart(frame, 'q_start', queries, spec.heads, inside, head);
    return {
      index,
      at: b.let('at', shifted(frame, inside)),
      q: scaled(loadRow(frame, 'q', from.q, start), f32(spec.scale)).map((chunk) => b.let('q', chunk)),
      dout: loadRow(frame, 'dout', from.dout, start),
      ...from.scalars(head, inside),
      sums: rowSums(frame, 'dq'),
    };
  });
  const [first, end] = keyRange(frame, tile, b.let('last', min(add(tile, u32(perGroup - 1)), sub(queries, u32(1)))));
  splitWalk(frame, 'key', first, end, (key, inside) => {
    const start = rowStart(frame, 'k_start', keys, spec.kvHeads, key, kvHead);
    const segK = from.segment(key);
    const k = loadRow(frame, 'k', from.k, start);
    const v = loadRow(frame, 'v', from.v, start);
    for (const row of rows) {
      const sees = visible(frame, row.at, key, row.segment === null || segK === null ? null : { q: row.segment, k: segK });
      addScaled(row.sums, k, pairGradient(frame, { ...row, k, v, sees: counts(frame, inside, sees) }).ds);
    }
  });
  mergeSplits(
    frame,
    rows.map((row) => partialSums(row.sums)),
  );
  for (const row of rows) {
    const whole = finished(frame, angles, row.at, row.sums);
    b.if(stores(frame, row.index, queries), () => {
      storeRow(frame, dq, rowStart(frame, 'dq_start', queries, spec.heads, row.index, head), whole);
    });
  }
  return b.finish([
    { of: spec.dims.queries.of, per: perGroup },
    { of: [spec.heads], per: 1 },
    { of: spec.dims.batch.of, per: 1 },
  ]);
}

/** Buffers: q, k, v, dout, stats (then segK, angles), then dk and dv [B,S,Hkv,D]; sums over the query heads of a key head. */
export function attentionKeyGradient(spec: AttentionSpec, schedule: AttentionSchedule): Kernel {
  if (schedule.kind === 'spread') return subgroupKeyGradient(spec, schedule);
  const frame = attentionFrame(spec.name, spec, schedule);
  const { b, queries, keys, lane } = frame;
  const from = gradientInputs(frame);
  const angles = angleBuffer(frame);
  const dk = b.buffer('dk', rowType(spec), 'read_write');
  const dv = b.buffer('dv', rowType(spec), 'read_write');
  const perGroup = schedule.lanes * schedule.rows;
  const kvHead = builtin('workgroupY');
  const group = spec.heads / spec.kvHeads;
  const tile = b.let('tile', mul(builtin('workgroupX'), u32(perGroup)));
  const rows = Array.from({ length: schedule.rows }, (_, r) => {
    const index = b.let('key', add(add(tile, lane.row), u32(r * schedule.lanes)));
    const inside = b.let('key_in', min(index, sub(keys, u32(1))));
    const start = rowStart(frame, 'k_start', keys, spec.kvHeads, inside, kvHead);
    return {
      index,
      inside,
      k: scaled(loadRow(frame, 'k', from.k, start), f32(spec.scale)).map((chunk) => b.let('k', chunk)),
      v: loadRow(frame, 'v', from.v, start),
      segment: from.segment(inside),
      dk: rowSums(frame, 'dk'),
      dv: rowSums(frame, 'dv'),
    };
  });
  const [first, end] = queryRange(frame, tile, b.let('last', min(add(tile, u32(perGroup - 1)), sub(keys, u32(1)))));
  const each = (head: Expr): void =>
    splitWalk(frame, 'query', first, end, (query, inside) => {
      const start = rowStart(frame, 'q_start', queries, spec.heads, query, head);
      const at = b.let('at', shifted(frame, query));
      const { lse, delta, segment: segQ } = from.scalars(head, query);
      const q = loadRow(frame, 'q', from.q, start);
      const dout = loadRow(frame, 'dout', from.dout, start);
      for (const row of rows) {
        const sees = visible(frame, at, row.inside, row.segment === null || segQ === null ? null : { q: segQ, k: row.segment });
        const { p, ds } = pairGradient(frame, { q, k: row.k, v: row.v, dout, lse, delta, sees: counts(frame, inside, sees) });
        addScaled(row.dv, dout, p);
        addScaled(row.dk, q, ds);
      }
    });
  const firstHead = b.let('first_head', mul(kvHead, u32(group)));
  if (group === 1) each(firstHead);
  else b.for('head', firstHead, add(firstHead, u32(group)), u32(1), each);
  mergeSplits(
    frame,
    rows.flatMap((row) => [partialSums(row.dk), partialSums(row.dv)]),
  );
  for (const row of rows) {
    const whole = finished(frame, angles, shifted(frame, row.inside), row.dk);
    b.if(stores(frame, row.index, keys), () => {
      const start = rowStart(frame, 'dk_start', keys, spec.kvHeads, row.index, kvHead);
      storeRow(frame, dk, start, whole);
      storeRow(
        frame,
        dv,
        start,
        row.dv.map((sum) => sum.get),
      );
    });
  }
  return b.finish([
    { of: spec.dims.keys.of, per: perGroup },
    { of: [spec.kvHeads], per: 1 },
    { of: spec.dims.batch.of, per: 1 },
  ]);
}
