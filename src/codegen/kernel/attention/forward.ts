/** @file Streaming attention, forward: softmax is kept online, no score matrix exists. Milakov & Gimelshein 2018; FlashAttention. */

import type { Variable } from '../builder.ts';
import { add, and, bin, builtin, call, component, div, eq, f32, max, min, mul, select, splat, sub, u32, vec } from '../expr.ts';
import type { Expr, Kernel } from '../ir.ts';
import {
  addScaled,
  attentionFrame,
  capped,
  type Frame,
  forwardInputs,
  keyRange,
  LOWEST,
  loadRow,
  rowDot,
  rowStart,
  rowSums,
  rowType,
  scalarIndex,
  scaled,
  shifted,
  storeRow,
  visible,
} from './frame.ts';
import type { AttentionSchedule } from './schedule.ts';
import type { AttentionSpec } from './spec.ts';
import { counts, mergeSplits, type SplitResult, splitWalk, stores } from './splits.ts';
import { subgroupForward } from './subgroup.ts';

/** A query row in registers. */
interface Row {
  readonly index: Expr;
  readonly at: Expr;
  readonly query: readonly Expr[];
  readonly segment: Expr | null;
  readonly top: Variable;
  readonly sum: Variable;
  readonly out: readonly Variable[];
}

/**
 * Buffers: q [B,T,H,D], k [B,S,Hkv,D], v [B,S,Hkv,D], then with segments segQ [B,T] and segK [B,S] (i32), then
 * out [B,T,H,D] and lse [B,H,T] (log Σ exp of the scores). q, k, v, out are vec4f arrays when D is a multiple of 4.
 */
export function attentionForward(spec: AttentionSpec, schedule: AttentionSchedule): Kernel {
  if (schedule.kind === 'spread') return subgroupForward(spec, schedule);
  const frame = attentionFrame(spec.name, spec, schedule);
  const { b, queries, keys, batch, lane } = frame;
  const { q, k, v, seg } = forwardInputs(frame);
  const out = b.buffer('out', rowType(spec), 'read_write');
  const lse = b.buffer('lse', 'f32', 'read_write');

  const perGroup = schedule.lanes * schedule.rows;
  const head = builtin('workgroupY');
  const kvHead = b.let('kv_head', div(head, u32(spec.heads / spec.kvHeads)));
  const tile = b.let('tile', mul(builtin('workgroupX'), u32(perGroup)));
  const rows = Array.from({ length: schedule.rows }, (_, r): Row => {
    const index = b.let('query', add(add(tile, lane.row), u32(r * schedule.lanes)));
    const inside = b.let('query_in', min(index, sub(queries, u32(1))));
    const start = rowStart(frame, 'q_start', queries, spec.heads, inside, head);
    return {
      index,
      at: b.let('at', shifted(frame, inside)),
      query: scaled(loadRow(frame, 'q', q, start), f32(spec.scale)).map((chunk) => b.let('q', chunk)),
      segment: seg === null ? null : b.let('seg_q', seg.q.load(add(mul(batch, queries), inside))),
      top: b.var('top', 'f32', f32(LOWEST)),
      sum: b.var('sum', 'f32', f32(0)),
      out: rowSums(frame, 'o'),
    };
  });
  const [from, to] = keyRange(frame, tile, b.let('last', min(add(tile, u32(perGroup - 1)), sub(queries, u32(1)))));
  splitWalk(frame, 'key', from, to, (key, inside) => {
    const start = rowStart(frame, 'k_start', keys, spec.kvHeads, key, kvHead);
    const segK = seg === null ? null : b.let('seg_k', seg.k.load(add(mul(batch, keys), key)));
    const keyRow = loadRow(frame, 'k', k, start);
    const weights = rows.map((row) => {
      const sees = visible(frame, row.at, key, row.segment === null || segK === null ? null : { q: row.segment, k: segK });
      return weight(frame, row, capped(frame, rowDot(frame, 'score', row.query, keyRow)), counts(frame, inside, sees));
    });
    const value = loadRow(frame, 'v', v, start);
    rows.forEach((row, r) => {
      addScaled(row.out, value, weights[r] ?? f32(0));
    });
  });
  mergeSplits(
    frame,
    rows.map((row) => partialSoftmax(frame, row)),
  );
  for (const row of rows) {
    b.if(stores(frame, row.index, queries), () => {
      const any = bin('>', row.sum.get, f32(0));
      const inverse = b.let('inverse', select(f32(0), div(f32(1), row.sum.get), any));
      storeRow(
        frame,
        out,
        rowStart(frame, 'out_start', queries, spec.heads, row.index, head),
        scaled(
          row.out.map((o) => o.get),
          inverse,
        ),
      );
      const store = (): void => lse.store(scalarIndex(frame, head, row.index), select(f32(0), add(row.top.get, call('log', row.sum.get)), any));
      if (schedule.dimLanes === 1) store();
      else b.if(eq(lane.dim, u32(0)), store);
    });
  }
  return b.finish([
    { of: spec.dims.queries.of, per: perGroup },
    { of: [spec.heads], per: 1 },
    { of: spec.dims.batch.of, per: 1 },
  ]);
}

/** Takes a score into the running softmax of a row and returns its weight; the sums are rescaled only when the maximum grows. */
function weight(frame: Frame, row: Row, score: Expr, sees: Expr | null): Expr {
  const { b } = frame;
  const grows = bin('>', score, row.top.get);
  b.if(sees === null ? grows : and(sees, grows), () => {
    const shrink = b.let('shrink', call('exp', sub(row.top.get, score)));
    row.sum.set(mul(row.sum.get, shrink));
    for (const o of row.out) o.set(mul(o.get, splat('vec4f', shrink)));
    row.top.set(score);
  });
  const raw = call('exp', sub(score, row.top.get));
  const p = b.let('weight', sees === null ? raw : select(f32(0), raw, sees));
  row.sum.set(add(row.sum.get, p));
  return p;
}

/** The softmax of the keys that one split lane has seen: maximum and sum in a vec4, then the weighted values. */
function partialSoftmax({ b }: Frame, row: Row): SplitResult {
  return {
    give: [vec('vec4f', [row.top.get, row.sum.get, f32(0), f32(0)]), ...row.out.map((o) => o.get)],
    take: ([softmax, ...values]) => {
      if (softmax === undefined) return;
      const theirTop = component(softmax, 0);
      const top = b.let('both_top', max(row.top.get, theirTop));
      const keep = b.let('keep', call('exp', sub(row.top.get, top)));
      const take = b.let('take', call('exp', sub(theirTop, top)));
      row.sum.set(add(mul(row.sum.get, keep), mul(component(softmax, 1), take)));
      row.out.forEach((o, c) => {
        o.set(add(mul(o.get, splat('vec4f', keep)), mul(values[c] ?? o.get, splat('vec4f', take))));
      });
      row.top.set(top);
    },
  };
}
