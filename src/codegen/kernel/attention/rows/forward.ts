/** @file Streaming attention, forward, rows in registers: softmax is kept online, no score matrix exists. Milakov & Gimelshein 2018; FlashAttention. */

import { at } from '../../../../errors.ts';
import type { BufferRef, Variable } from '../../builder.ts';
import { add, and, bin, builtin, call, component, div, eq, f32, max, mul, select, splat, sub, u32, vec } from '../../expr.ts';
import type { Expr, Kernel } from '../../ir.ts';
import {
  capped,
  type ForwardInputs,
  finishFrame,
  forwardInputs,
  keyHeadOf,
  keyRange,
  LOWEST,
  output,
  type Range,
  rowStart,
  rowType,
  scalarIndex,
  shifted,
  visible,
} from '../frame.ts';
import type { AttentionSpec } from '../spec.ts';
import { addScaled, loadRow, ownRows, perGroup, type RowPlace, type RowsFrame, rowDot, rowSums, rowsFrame, scaled, storeRow, valuesOf } from './frame.ts';
import type { RowsSchedule } from './schedule.ts';
import { counts, mergeSplits, type SplitResult, splitWalk, stores } from './splits.ts';

/** A query row in registers. */
interface QueryRow {
  readonly index: Expr;
  readonly at: Expr;
  /** Times the scale. */
  readonly query: readonly Expr[];
  readonly segment: Expr | null;
  /** The largest score so far, Σ exp(score − top), and the weighted values. */
  readonly top: Variable;
  readonly sum: Variable;
  readonly out: readonly Variable[];
}

/** Reads q, k, v and the segments; writes out and lse. */
export function rowsForward(spec: AttentionSpec, schedule: RowsSchedule): Kernel {
  const frame = rowsFrame(spec, schedule);
  const inputs = forwardInputs(frame);
  const results = { out: output(frame, 'out', rowType(spec)), lse: output(frame, 'lse', 'f32') };
  const head = builtin('workgroupY');
  const keyHead = keyHeadOf(frame, head);
  const { rows, first, last } = ownRows(frame, 'query', frame.queries, (place) => queryRow(frame, inputs, head, place));
  walkKeys(frame, inputs, keyHead, rows, keyRange(frame, first, last));
  mergeSplits(
    frame,
    rows.map((row) => partialSoftmax(frame, row)),
  );
  for (const row of rows) storeResults(frame, results, head, row);
  return finishFrame(frame, 'queries', perGroup(frame));
}

function queryRow(frame: RowsFrame, { q, segment }: ForwardInputs, head: Expr, { index, inside }: RowPlace): QueryRow {
  const { b, spec, queries } = frame;
  const start = rowStart(frame, 'q_start', queries, spec.heads, inside, head);
  return {
    index,
    at: b.let('at', shifted(frame, inside)),
    query: scaled(loadRow(frame, 'q', q, start), f32(spec.scale)).map((chunk) => b.let('q', chunk)),
    segment: segment.query(inside),
    top: b.var('top', 'f32', f32(LOWEST)),
    sum: b.var('sum', 'f32', f32(0)),
    out: rowSums(frame, 'o'),
  };
}

/** Takes the keys of a range into every row's softmax, and their values into its sums. */
function walkKeys(frame: RowsFrame, { k, v, segment }: ForwardInputs, keyHead: Expr, rows: readonly QueryRow[], range: Range): void {
  splitWalk(frame, 'key', range, (key, inside) => {
    const start = rowStart(frame, 'k_start', frame.keys, frame.spec.kvHeads, key, keyHead);
    const segK = segment.key(key);
    const keyRow = loadRow(frame, 'k', k, start);
    const weights = rows.map((row) => {
      const sees = visible(frame, { at: row.at, key, segQ: row.segment, segK });
      return weightOf(frame, row, capped(frame, rowDot(frame, 'score', row.query, keyRow)), counts(frame, inside, sees));
    });
    const value = loadRow(frame, 'v', v, start);
    rows.forEach((row, r) => void addScaled(row.out, value, at(weights, r)));
  });
}

/** Takes a score into the running softmax of a row and returns its weight; the sums are rescaled only when the maximum grows. */
function weightOf({ b }: RowsFrame, row: QueryRow, score: Expr, sees: Expr | null): Expr {
  const grows = bin('>', score, row.top.get);
  b.if(sees === null ? grows : and(sees, grows), () => {
    const shrink = b.let('shrink', call('exp', sub(row.top.get, score)));
    row.sum.set(mul(row.sum.get, shrink));
    for (const o of row.out) o.set(mul(o.get, splat('vec4f', shrink)));
    row.top.set(score);
  });
  const raw = call('exp', sub(score, row.top.get));
  const weight = b.let('weight', sees === null ? raw : select(f32(0), raw, sees));
  row.sum.set(add(row.sum.get, weight));
  return weight;
}

/** The softmax of the keys that one split lane has seen: maximum and sum in a vec4, and the weighted values. */
function partialSoftmax({ b }: RowsFrame, row: QueryRow): SplitResult {
  return {
    give: { softmax: [vec('vec4f', [row.top.get, row.sum.get, f32(0), f32(0)])], out: valuesOf(row.out) },
    take: (theirs) => {
      const softmax = at(theirs('softmax'), 0);
      const theirTop = component(softmax, 0);
      const top = b.let('both_top', max(row.top.get, theirTop));
      const keep = b.let('keep', call('exp', sub(row.top.get, top)));
      const take = b.let('take', call('exp', sub(theirTop, top)));
      row.sum.set(add(mul(row.sum.get, keep), mul(component(softmax, 1), take)));
      row.out.forEach((o, c) => void o.set(add(mul(o.get, splat('vec4f', keep)), mul(at(theirs('out'), c), splat('vec4f', take)))));
      row.top.set(top);
    },
  };
}

function storeResults(frame: RowsFrame, { out, lse }: { readonly out: BufferRef; readonly lse: BufferRef }, head: Expr, row: QueryRow): void {
  const { b, spec, queries, held } = frame;
  b.if(stores(frame, row.index, queries), () => {
    const any = bin('>', row.sum.get, f32(0));
    const inverse = b.let('inverse', select(f32(0), div(f32(1), row.sum.get), any));
    storeRow(frame, out, rowStart(frame, 'out_start', queries, spec.heads, row.index, head), scaled(valuesOf(row.out), inverse));
    const storeLse = (): void => lse.store(scalarIndex(frame, head, row.index), select(f32(0), add(row.top.get, call('log', row.sum.get)), any));
    if (held.lanes === 1) storeLse();
    else b.if(eq(held.lane, u32(0)), storeLse);
  });
}
