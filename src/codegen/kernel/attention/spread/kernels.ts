/**
 * @file The attention kernels for one subgroup a workgroup, each a walk (./walk.ts): forward walks keys (q·k; v), dQ walks keys (q·k, dout·v; k),
 * dK with dV walks queries (k·q, v·dout; q, dout).
 */

import { at } from '../../../../errors.ts';
import type { BufferRef, Variable } from '../../builder.ts';
import { add, and, bin, builtin, call, div, eq, f32, lt, max, min, mul, select, sub, u32 } from '../../expr.ts';
import type { Expr, Kernel } from '../../ir.ts';
import {
  capped,
  type ForwardInputs,
  finishFrame,
  forwardInputs,
  type GradientInputs,
  gradientInputs,
  keyHeadOf,
  keyRange,
  LOWEST,
  output,
  type PairPlace,
  queryRange,
  type Range,
  rowStart,
  rowType,
  scalarIndex,
  shifted,
  uncapped,
  visible,
} from '../frame.ts';
import { angleBuffer } from '../rotation.ts';
import type { AttentionSpec } from '../spec.ts';
import { mulUnit, type OwnRows, ownRows, pairsInLane, type SpreadFrame, spreadFrame, storedType, storeRow, storeRows } from './frame.ts';
import type { SpreadSchedule } from './schedule.ts';
import { declareSums, type SpreadWalk, type Sums, scaledSums, type WalkStep, walk } from './walk.ts';

/** Whether the pair counts: the lane's own index is before the end, and the key is seen. */
function counts(frame: SpreadFrame, place: PairPlace, inside: Expr): Expr {
  const condition = visible(frame, place);
  return condition === null ? inside : frame.b.let('seen', and(inside, condition));
}

const scaledScore = (frame: SpreadFrame, dot: Expr): Expr => capped(frame, frame.b.let('scaled', mul(dot, f32(frame.spec.scale))));

/** The sides of a walk in which queries walk over keys. */
function overKeys(frame: SpreadFrame, head: Expr): Pick<SpreadWalk<never, never>, 'heads' | 'length' | 'head'> {
  const { spec, queries, keys } = frame;
  return {
    heads: { rows: spec.heads, walked: spec.kvHeads },
    length: { rows: queries, walked: keys },
    head: { rows: head, walked: keyHeadOf(frame, head) },
  };
}

/** A query row's running softmax; each lane sums up what its own keys give. */
interface Softmax {
  readonly at: Expr;
  readonly segment: Expr | null;
  readonly top: Variable;
  readonly sum: Variable;
}

/** Reads q, k, v and the segments; writes out and lse. */
export function spreadForward(spec: AttentionSpec, schedule: SpreadSchedule): Kernel {
  const frame = spreadFrame(spec, schedule);
  const { b, queries } = frame;
  const inputs = forwardInputs(frame);
  const results = { out: output(frame, 'out', rowType(spec)), lse: output(frame, 'lse', 'f32') };
  const head = builtin('workgroupY');
  const rows = ownRows(frame, queries);
  const sums = declareSums(frame, { out: inputs.v });
  const state = rows.inside.map(
    (row): Softmax => ({
      at: b.let('at', shifted(frame, row)),
      segment: inputs.segment.query(row),
      top: b.var('top', 'f32', f32(LOWEST)),
      sum: b.var('total', 'f32', f32(0)),
    }),
  );
  const w = { ...overKeys(frame, head), dots: { score: { rows: inputs.q, walked: inputs.k } }, summed: { out: inputs.v } };
  const range = keyRange(frame, rows.first, rows.last);
  walk(frame, w, rows.inside, sums, range, (step) => weigh(frame, inputs, state, sums, range, step));
  state.forEach((row, r) => void storeResults(frame, results, head, { row, index: at(rows.index, r), out: at(sums, r).out }));
  return finishFrame(frame, 'queries', schedule.rows);
}

/** Takes the lane's own key into every row's softmax; sums so far shrink as the maximum grows. */
function weigh(frame: SpreadFrame, { segment }: ForwardInputs, state: readonly Softmax[], sums: Sums<'out'>, { to }: Range, step: WalkStep<'score'>) {
  const { b } = frame;
  const { own, inside, dots } = step;
  const segK = frame.spec.segments === false ? null : segment.key(b.let('key_in', min(own, sub(to, u32(1)))));
  return state.map((row, r) => {
    const seen = counts(frame, { at: row.at, key: own, segQ: row.segment, segK }, inside);
    const score = b.let('score', scaledScore(frame, at(dots, r).score));
    const top = b.let('new_top', max(row.top.get, call('subgroupMax', select(f32(LOWEST), score, seen))));
    const shrink = b.let('shrink', call('exp', sub(row.top.get, top)));
    const p = b.let('p', select(f32(0), call('exp', sub(score, top)), seen));
    row.top.set(top);
    row.sum.set(add(mul(row.sum.get, shrink), p));
    for (const sum of at(sums, r).out) sum.set(mulUnit(sum.get, shrink));
    return { out: p };
  });
}

interface Finished {
  readonly row: Softmax;
  readonly index: Expr;
  readonly out: readonly Variable[];
}

function storeResults(frame: SpreadFrame, results: { readonly out: BufferRef; readonly lse: BufferRef }, head: Expr, { row, index, out }: Finished): void {
  const { b, spec, queries, held } = frame;
  const total = b.let('sum_row', call('subgroupAdd', row.sum.get));
  const any = b.let('any', bin('>', total, f32(0)));
  b.if(lt(index, queries), () => {
    const start = rowStart(frame, 'out_start', queries, spec.heads, index, head);
    const inverse = b.let('inverse', select(f32(0), div(f32(1), total), any));
    storeRow(
      frame,
      results.out,
      start,
      out.map((sum) => mulUnit(sum.get, inverse)),
    );
    b.if(eq(held.lane, u32(0)), () => results.lse.store(scalarIndex(frame, head, index), select(f32(0), add(row.top.get, call('log', total)), any)));
  });
}

/** What a pair's gradient is made of besides its dot products. */
interface PairScalars {
  readonly lse: Expr;
  readonly delta: Expr;
  readonly seen: Expr;
}

/** The weight p of a pair and the gradient ds of its score before scaling, both 0 where the key is not seen. */
function pairGradient(
  frame: SpreadFrame,
  dots: Readonly<Record<'score' | 'dp', Expr>>,
  { lse, delta, seen }: PairScalars,
): { readonly p: Expr; readonly ds: Expr } {
  const { b } = frame;
  const score = b.let('score', scaledScore(frame, dots.score));
  const p = b.let('p', select(f32(0), call('exp', sub(score, lse)), seen));
  return { p, ds: b.let('ds', uncapped(frame, score, mul(p, sub(dots.dp, delta)))) };
}

/** Reads q, k, v, dout, stats (and segK, angles); writes dq. */
export function spreadQueryGradient(spec: AttentionSpec, schedule: SpreadSchedule): Kernel {
  const frame = spreadFrame(spec, schedule);
  const { b, queries } = frame;
  const inputs = gradientInputs(frame);
  const angles = angleBuffer(frame, pairsInLane(frame));
  const dq = output(frame, 'dq', storedType(frame, angles));
  const head = builtin('workgroupY');
  const rows = ownRows(frame, queries);
  const summed = { dq: inputs.k };
  const sums = declareSums(frame, summed);
  const state = rows.inside.map((row) => ({ at: b.let('at', shifted(frame, row)), ...inputs.scalars(head, row) }));
  const dots = { score: { rows: inputs.q, walked: inputs.k }, dp: { rows: inputs.dout, walked: inputs.v } };
  const w = { ...overKeys(frame, head), dots, summed };
  const range = keyRange(frame, rows.first, rows.last);
  walk(frame, w, rows.inside, sums, range, (step) => {
    const segK = inputs.segment(b.let('key_in', min(step.own, sub(range.to, u32(1)))));
    return state.map((row, r) => {
      const seen = counts(frame, { at: row.at, key: step.own, segQ: row.segment, segK }, step.inside);
      return { dq: pairGradient(frame, at(step.dots, r), { ...row, seen }).ds };
    });
  });
  const start = (index: Expr): Expr => rowStart(frame, 'dq_start', queries, spec.heads, index, head);
  storeRows(frame, dq, angles, { values: scaledSums(sums, 'dq', f32(spec.scale)), rows, length: queries, start });
  return finishFrame(frame, 'queries', schedule.rows);
}

/** Reads q, k, v, dout, stats (and segK, angles); writes dk and dv: sums over the query heads of a key head. */
export function spreadKeyGradient(spec: AttentionSpec, schedule: SpreadSchedule): Kernel {
  const frame = spreadFrame(spec, schedule);
  const { b, keys } = frame;
  const inputs = gradientInputs(frame);
  const angles = angleBuffer(frame, pairsInLane(frame));
  const results = { dk: output(frame, 'dk', storedType(frame, angles)), dv: output(frame, 'dv', rowType(spec)) };
  const keyHead = builtin('workgroupY');
  const rows = ownRows(frame, keys);
  const sums = declareSums(frame, { dk: inputs.q, dv: inputs.dout });
  const segK = rows.inside.map((row) => inputs.segment(row));
  const range = queryRange(frame, rows.first, rows.last);
  const headsPerKey = spec.heads / spec.kvHeads;
  const firstHead = b.let('first_head', mul(keyHead, u32(headsPerKey)));
  b.for('head', firstHead, add(firstHead, u32(headsPerKey)), u32(1), (head) => walkQueries(frame, inputs, { rows, sums, segK }, range, keyHead, head));
  const start = (index: Expr): Expr => rowStart(frame, 'dk_start', keys, spec.kvHeads, index, keyHead);
  storeRows(frame, results.dk, angles, { values: scaledSums(sums, 'dk', f32(spec.scale)), rows, length: keys, start });
  storeRows(frame, results.dv, null, { values: scaledSums(sums, 'dv', f32(1)), rows, length: keys, start });
  return finishFrame(frame, 'keys', schedule.rows);
}

interface KeyRows {
  readonly rows: OwnRows;
  readonly sums: Sums<'dk' | 'dv'>;
  readonly segK: readonly (Expr | null)[];
}

/** Adds to every row's dk and dv what the queries of a range and of one head give. */
function walkQueries(frame: SpreadFrame, inputs: GradientInputs, { rows, sums, segK }: KeyRows, range: Range, keyHead: Expr, head: Expr): void {
  const { b, spec, queries, keys } = frame;
  const w = {
    heads: { rows: spec.kvHeads, walked: spec.heads },
    length: { rows: keys, walked: queries },
    head: { rows: keyHead, walked: head },
    dots: { score: { rows: inputs.k, walked: inputs.q }, dp: { rows: inputs.v, walked: inputs.dout } },
    summed: { dk: inputs.q, dv: inputs.dout },
  };
  walk(frame, w, rows.inside, sums, range, ({ own, inside, dots }) => {
    const query = b.let('query_in', min(own, sub(range.to, u32(1))));
    const scalars = inputs.scalars(head, query);
    const place = { at: b.let('at', shifted(frame, query)), segQ: scalars.segment };
    return rows.inside.map((key, r) => {
      const seen = counts(frame, { ...place, key, segK: at(segK, r) }, inside);
      const { p, ds } = pairGradient(frame, at(dots, r), { ...scalars, seen });
      return { dk: ds, dv: p };
    });
  });
}
