/** @file The attention kernels for one subgroup a workgroup: scores with lanes along the walked side, sums with lanes along D.
 *
 * All three have one shape: for a tile of rows, walk over the other side in steps of a subgroup; dot products of row and walked
 * vectors give weights, and weighted walked vectors are summed up. Forward walks keys (q·k; p v), dQ walks keys
 * (q·k, dout·v; ds k), dK/dV walks queries (k·q, v·dout; p dout, ds q). */

import { add, and, bin, builtin, call, div, eq, f32, lt, max, min, mul, select, sub, u32 } from '../expr.ts';
import type { Expr, Kernel } from '../ir.ts';
import {
  attentionFrame,
  capped,
  capSlope,
  type Frame,
  forwardInputs,
  gradientInputs,
  keyRange,
  LOWEST,
  queryRange,
  rowStart,
  rowType,
  scalarIndex,
  shifted,
  visible,
} from './frame.ts';
import { angleBuffer } from './rotation.ts';
import type { AttentionSpec } from './spec.ts';
import type { SpreadSchedule } from './spread.ts';
import { declareSums, mulUnit, scaledSums, store, storedType, storeRows, tileRows, type Walk, walk } from './subgroupWalk.ts';

function kvHeadOf({ b, spec }: Frame, head: Expr): Expr {
  return b.let('kv_head', div(head, u32(spec.heads / spec.kvHeads)));
}

function sees(frame: Frame, at: Expr, key: Expr, segments: { q: Expr; k: Expr } | null, inside: Expr): Expr {
  const condition = visible(frame, at, key, segments);
  return condition === null ? inside : frame.b.let('seen', and(inside, condition));
}

export function subgroupForward(spec: AttentionSpec, schedule: SpreadSchedule): Kernel {
  const frame = attentionFrame(spec.name, spec, schedule);
  const { b, queries, keys, batch } = frame;
  const { q, k, v, seg } = forwardInputs(frame);
  const out = b.buffer('out', rowType(spec), 'read_write');
  const lse = b.buffer('lse', 'f32', 'read_write');
  const head = builtin('workgroupY');
  const rows = tileRows(frame, queries);
  const sums = declareSums(frame, 1);
  const state = rows.inside.map((row) => ({
    at: b.let('at', shifted(frame, row)),
    segment: seg === null ? null : b.let('seg_q', seg.q.load(add(mul(batch, queries), row))),
    top: b.var('top', 'f32', f32(LOWEST)),
    sum: b.var('total', 'f32', f32(0)),
  }));
  const w: Walk = {
    heads: { rows: spec.heads, walked: spec.kvHeads },
    length: { rows: queries, walked: keys },
    head: { rows: head, walked: kvHeadOf(frame, head) },
    dots: [[q, k]],
    summed: [v],
  };
  const [from, to] = keyRange(frame, rows.first, rows.last);
  walk(frame, w, rows.inside, sums, from, to, (own, inside, dots) => {
    const segK = seg === null ? null : b.let('seg_k', seg.k.load(add(mul(batch, keys), b.let('key_in', min(own, sub(to, u32(1)))))));
    return state.map((row, r) => {
      const seen = sees(frame, row.at, own, row.segment === null || segK === null ? null : { q: row.segment, k: segK }, inside);
      const score = b.let('score', capped(frame, b.let('scaled', mul(dots[r]?.[0] ?? f32(0), f32(spec.scale)))));
      const top = b.let('new_top', max(row.top.get, call('subgroupMax', select(f32(LOWEST), score, seen))));
      const shrink = b.let('shrink', call('exp', sub(row.top.get, top)));
      const p = b.let('p', select(f32(0), call('exp', sub(score, top)), seen));
      row.top.set(top);
      row.sum.set(add(mul(row.sum.get, shrink), p));
      for (const sum of sums.of[r]?.[0] ?? []) sum.set(mulUnit(sum.get, shrink));
      return [p];
    });
  });
  state.forEach((row, r) => {
    const total = b.let('sum_row', call('subgroupAdd', row.sum.get));
    const any = b.let('any', bin('>', total, f32(0)));
    const index = rows.index[r] ?? u32(0);
    b.if(lt(index, queries), () => {
      const start = rowStart(frame, 'out_start', queries, spec.heads, index, head);
      const inverse = b.let('inverse', select(f32(0), div(f32(1), total), any));
      store(
        frame,
        out,
        start,
        (sums.of[r]?.[0] ?? []).map((sum) => mulUnit(sum.get, inverse)),
      );
      b.if(eq(builtin('subgroupInvocation'), u32(0)), () =>
        lse.store(scalarIndex(frame, head, index), select(f32(0), add(row.top.get, call('log', total)), any)),
      );
    });
  });
  return b.finish([
    { of: spec.dims.queries.of, per: schedule.rows },
    { of: [spec.heads], per: 1 },
    { of: spec.dims.batch.of, per: 1 },
  ]);
}

/** The weight p of a pair and the gradient ds of its score before scaling, both 0 where the key is not seen. */
function pairWeights(frame: Frame, dot: Expr, dp: Expr, lse: Expr, delta: Expr, seen: Expr): { p: Expr; ds: Expr } {
  const { b, spec } = frame;
  const score = b.let('score', capped(frame, b.let('scaled', mul(dot, f32(spec.scale)))));
  const p = b.let('p', select(f32(0), call('exp', sub(score, lse)), seen));
  const slope = capSlope(frame, score);
  const ds = mul(p, sub(dp, delta));
  return { p, ds: b.let('ds', slope === null ? ds : mul(ds, slope)) };
}

export function subgroupQueryGradient(spec: AttentionSpec, schedule: SpreadSchedule): Kernel {
  const frame = attentionFrame(spec.name, spec, schedule);
  const { b, queries, keys } = frame;
  const from = gradientInputs(frame);
  const angles = angleBuffer(frame);
  const dq = b.buffer('dq', storedType(frame, angles), 'read_write');
  const head = builtin('workgroupY');
  const rows = tileRows(frame, queries);
  const sums = declareSums(frame, 1);
  const state = rows.inside.map((row) => ({
    at: b.let('at', shifted(frame, row)),
    ...from.scalars(head, row),
  }));
  const w: Walk = {
    heads: { rows: spec.heads, walked: spec.kvHeads },
    length: { rows: queries, walked: keys },
    head: { rows: head, walked: kvHeadOf(frame, head) },
    dots: [
      [from.q, from.k],
      [from.dout, from.v],
    ],
    summed: [from.k],
  };
  const [first, end] = keyRange(frame, rows.first, rows.last);
  walk(frame, w, rows.inside, sums, first, end, (own, inside, dots) => {
    const key = b.let('key_in', min(own, sub(end, u32(1))));
    const segK = from.segment(key);
    return state.map((row, r) => {
      const seen = sees(frame, row.at, own, row.segment === null || segK === null ? null : { q: row.segment, k: segK }, inside);
      return [pairWeights(frame, dots[r]?.[0] ?? f32(0), dots[r]?.[1] ?? f32(0), row.lse, row.delta, seen).ds];
    });
  });
  storeRows(frame, dq, angles, {
    rows: scaledSums(sums, 0, f32(spec.scale)),
    tile: rows,
    length: queries,
    start: (index) => rowStart(frame, 'dq_start', queries, spec.heads, index, head),
  });
  return b.finish([
    { of: spec.dims.queries.of, per: schedule.rows },
    { of: [spec.heads], per: 1 },
    { of: spec.dims.batch.of, per: 1 },
  ]);
}

export function subgroupKeyGradient(spec: AttentionSpec, schedule: SpreadSchedule): Kernel {
  const frame = attentionFrame(spec.name, spec, schedule);
  const { b, queries, keys } = frame;
  const from = gradientInputs(frame);
  const angles = angleBuffer(frame);
  const dk = b.buffer('dk', storedType(frame, angles), 'read_write');
  const dv = b.buffer('dv', rowType(spec), 'read_write');
  const kvHead = builtin('workgroupY');
  const rows = tileRows(frame, keys);
  const sums = declareSums(frame, 2);
  const segK = rows.inside.map((row) => from.segment(row));
  const [first, end] = queryRange(frame, rows.first, rows.last);
  const group = spec.heads / spec.kvHeads;
  const firstHead = b.let('first_head', mul(kvHead, u32(group)));
  b.for('head', firstHead, add(firstHead, u32(group)), u32(1), (head) => {
    const w: Walk = {
      heads: { rows: spec.kvHeads, walked: spec.heads },
      length: { rows: keys, walked: queries },
      head: { rows: kvHead, walked: head },
      dots: [
        [from.k, from.q],
        [from.v, from.dout],
      ],
      summed: [from.q, from.dout],
    };
    walk(frame, w, rows.inside, sums, first, end, (own, inside, dots) => {
      const query = b.let('query_in', min(own, sub(end, u32(1))));
      const scalars = from.scalars(head, query);
      const at = b.let('at', shifted(frame, query));
      return rows.inside.map((key, r) => {
        const segment = segK[r] ?? null;
        const seen = sees(frame, at, key, scalars.segment === null || segment === null ? null : { q: scalars.segment, k: segment }, inside);
        const { p, ds } = pairWeights(frame, dots[r]?.[0] ?? f32(0), dots[r]?.[1] ?? f32(0), scalars.lse, scalars.delta, seen);
        return [ds, p];
      });
    });
  });
  const start = (index: Expr): Expr => rowStart(frame, 'dk_start', keys, spec.kvHeads, index, kvHead);
  const common = { tile: rows, length: keys, start };
  storeRows(frame, dk, angles, { ...common, rows: scaledSums(sums, 0, f32(spec.scale)) });
  storeRows(frame, dv, null, { ...common, rows: scaledSums(sums, 1, f32(1)) });
  return b.finish([
    { of: spec.dims.keys.of, per: schedule.rows },
    { of: [spec.kvHeads], per: 1 },
    { of: spec.dims.batch.of, per: 1 },
  ]);
}
