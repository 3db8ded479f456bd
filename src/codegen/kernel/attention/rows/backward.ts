/** @file Streaming attention, backward, rows in registers (FlashAttention-2): dQ, then dK and dV from the saved log-sum-exp. No atomics. */

import type { Variable } from '../../builder.ts';
import { add, builtin, call, f32, mul, select, sub, u32 } from '../../expr.ts';
import type { Expr, Kernel } from '../../ir.ts';
import {
  capped,
  finishFrame,
  type GradientInputs,
  gradientInputs,
  keyHeadOf,
  keyRange,
  output,
  type QueryScalars,
  queryRange,
  type Range,
  rowStart,
  rowType,
  shifted,
  uncapped,
  visible,
} from '../frame.ts';
import { angleBuffer, pairsChunks, turnedRow } from '../rotation.ts';
import type { AttentionSpec } from '../spec.ts';
import { addScaled, loadRow, ownRows, perGroup, type RowPlace, type RowsFrame, rowDot, rowSums, rowsFrame, scaled, storeRow, valuesOf } from './frame.ts';
import type { RowsSchedule } from './schedule.ts';
import { counts, mergeSplits, partialSums, splitWalk, stores } from './splits.ts';

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
function pairGradient(frame: RowsFrame, pair: Pair): { readonly p: Expr; readonly ds: Expr } {
  const { b } = frame;
  const score = capped(frame, rowDot(frame, 'score', pair.q, pair.k));
  const raw = call('exp', sub(score, pair.lse));
  const p = b.let('p', pair.sees === null ? raw : select(f32(0), raw, pair.sees));
  const dp = rowDot(frame, 'dp', pair.dout, pair.v);
  return { p, ds: b.let('ds', uncapped(frame, score, mul(p, sub(dp, pair.delta)))) };
}

/** A query row in registers. */
interface QueryRow extends QueryScalars {
  readonly index: Expr;
  readonly at: Expr;
  /** Times the scale. */
  readonly q: readonly Expr[];
  readonly dout: readonly Expr[];
  readonly dq: readonly Variable[];
}

/** Reads q, k, v, dout, stats (and segK, angles); writes dq. */
export function rowsQueryGradient(spec: AttentionSpec, schedule: RowsSchedule): Kernel {
  const frame = rowsFrame(spec, schedule);
  const { b, queries } = frame;
  const inputs = gradientInputs(frame);
  const angles = angleBuffer(frame, pairsChunks(spec));
  const dq = output(frame, 'dq', rowType(spec));
  const head = builtin('workgroupY');
  const keyHead = keyHeadOf(frame, head);
  const { rows, first, last } = ownRows(frame, 'query', queries, (place) => queryRow(frame, inputs, head, place));
  walkKeys(frame, inputs, keyHead, rows, keyRange(frame, first, last));
  mergeSplits(
    frame,
    rows.map((row) => partialSums(row.dq)),
  );
  for (const row of rows) {
    const whole = turnedRow(frame, angles, row.at, scaled(valuesOf(row.dq), f32(spec.scale)));
    b.if(stores(frame, row.index, queries), () => storeRow(frame, dq, rowStart(frame, 'dq_start', queries, spec.heads, row.index, head), whole));
  }
  return finishFrame(frame, 'queries', perGroup(frame));
}

function queryRow(frame: RowsFrame, inputs: GradientInputs, head: Expr, { index, inside }: RowPlace): QueryRow {
  const { b, spec, queries } = frame;
  const start = rowStart(frame, 'q_start', queries, spec.heads, inside, head);
  return {
    index,
    at: b.let('at', shifted(frame, inside)),
    q: scaled(loadRow(frame, 'q', inputs.q, start), f32(spec.scale)).map((chunk) => b.let('q', chunk)),
    dout: loadRow(frame, 'dout', inputs.dout, start),
    ...inputs.scalars(head, inside),
    dq: rowSums(frame, 'dq'),
  };
}

/** Adds to every row's dq what the keys of a range give. */
function walkKeys(frame: RowsFrame, inputs: GradientInputs, keyHead: Expr, rows: readonly QueryRow[], range: Range): void {
  splitWalk(frame, 'key', range, (key, inside) => {
    const start = rowStart(frame, 'k_start', frame.keys, frame.spec.kvHeads, key, keyHead);
    const segK = inputs.segment(key);
    const k = loadRow(frame, 'k', inputs.k, start);
    const v = loadRow(frame, 'v', inputs.v, start);
    for (const row of rows) {
      const sees = visible(frame, { at: row.at, key, segQ: row.segment, segK });
      addScaled(row.dq, k, pairGradient(frame, { ...row, k, v, sees: counts(frame, inside, sees) }).ds);
    }
  });
}

/** A key row in registers. */
interface KeyRow {
  readonly index: Expr;
  readonly inside: Expr;
  /** Times the scale. */
  readonly k: readonly Expr[];
  readonly v: readonly Expr[];
  readonly segment: Expr | null;
  readonly dk: readonly Variable[];
  readonly dv: readonly Variable[];
}

/** Reads q, k, v, dout, stats (and segK, angles); writes dk and dv: sums over the query heads of a key head. */
export function rowsKeyGradient(spec: AttentionSpec, schedule: RowsSchedule): Kernel {
  const frame = rowsFrame(spec, schedule);
  const { b, keys } = frame;
  const inputs = gradientInputs(frame);
  const angles = angleBuffer(frame, pairsChunks(spec));
  const results = { dk: output(frame, 'dk', rowType(spec)), dv: output(frame, 'dv', rowType(spec)) };
  const keyHead = builtin('workgroupY');
  const { rows, first, last } = ownRows(frame, 'key', keys, (place) => keyRow(frame, inputs, keyHead, place));
  const range = queryRange(frame, first, last);
  const headsPerKey = spec.heads / spec.kvHeads;
  const firstHead = b.let('first_head', mul(keyHead, u32(headsPerKey)));
  const walk = (head: Expr): void => walkQueries(frame, inputs, head, rows, range);
  if (headsPerKey === 1) walk(firstHead);
  else b.for('head', firstHead, add(firstHead, u32(headsPerKey)), u32(1), walk);
  mergeSplits(
    frame,
    rows.flatMap((row) => [partialSums(row.dk), partialSums(row.dv)]),
  );
  for (const row of rows) {
    const whole = turnedRow(frame, angles, shifted(frame, row.inside), scaled(valuesOf(row.dk), f32(spec.scale)));
    b.if(stores(frame, row.index, keys), () => {
      const start = rowStart(frame, 'dk_start', keys, spec.kvHeads, row.index, keyHead);
      storeRow(frame, results.dk, start, whole);
      storeRow(frame, results.dv, start, valuesOf(row.dv));
    });
  }
  return finishFrame(frame, 'keys', perGroup(frame));
}

function keyRow(frame: RowsFrame, inputs: GradientInputs, keyHead: Expr, { index, inside }: RowPlace): KeyRow {
  const { b, spec, keys } = frame;
  const start = rowStart(frame, 'k_start', keys, spec.kvHeads, inside, keyHead);
  return {
    index,
    inside,
    k: scaled(loadRow(frame, 'k', inputs.k, start), f32(spec.scale)).map((chunk) => b.let('k', chunk)),
    v: loadRow(frame, 'v', inputs.v, start),
    segment: inputs.segment(inside),
    dk: rowSums(frame, 'dk'),
    dv: rowSums(frame, 'dv'),
  };
}

/** Adds to every row's dk and dv what the queries of a range and of one head give. */
function walkQueries(frame: RowsFrame, inputs: GradientInputs, head: Expr, rows: readonly KeyRow[], range: Range): void {
  const { b, spec, queries } = frame;
  splitWalk(frame, 'query', range, (query, inside) => {
    const start = rowStart(frame, 'q_start', queries, spec.heads, query, head);
    const at = b.let('at', shifted(frame, query));
    const { lse, delta, segment: segQ } = inputs.scalars(head, query);
    const q = loadRow(frame, 'q', inputs.q, start);
    const dout = loadRow(frame, 'dout', inputs.dout, start);
    for (const row of rows) {
      const sees = visible(frame, { at, key: row.inside, segQ, segK: row.segment });
      const { p, ds } = pairGradient(frame, { q, k: row.k, v: row.v, dout, lse, delta, sees: counts(frame, inside, sees) });
      addScaled(row.dv, dout, p);
      addScaled(row.dk, q, ds);
    }
  });
}
