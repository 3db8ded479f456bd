/** @file Lanes that split a walk: each takes every splits-th step for the same rows, and what they have summed up is brought together at the end. */

import type { Variable } from '../builder.ts';
import { add, and, builtin, eq, ge, lt, min, sub, u32 } from '../expr.ts';
import type { Expr } from '../ir.ts';
import type { Frame } from './frame.ts';

/**
 * Walks this lane's steps of [first, end). Split lanes stay together to the last step, so that subgroup operations find all of them:
 * past the end a lane sees the last step again, and `inside` is false. `inside` is null where nothing is split.
 */
export function splitWalk(frame: Frame, name: string, first: Expr, end: Expr, body: (at: Expr, inside: Expr | null) => void): void {
  const { b, schedule, lane } = frame;
  b.for(name, first, end, u32(schedule.splits), (base) => {
    if (schedule.splits === 1) return body(base, null);
    const own = b.let('own', add(base, lane.split));
    return body(b.let(`${name}_in`, min(own, sub(end, u32(1)))), b.let('inside', lt(own, end)));
  });
}

/** Whether a pair counts: the step is this lane's own, and the key is seen. null: always. */
export function counts(frame: Frame, inside: Expr | null, sees: Expr | null): Expr | null {
  return inside === null || sees === null ? (inside ?? sees) : frame.b.let('counts', and(inside, sees));
}

/** What lanes hold of one row. */
export interface SplitResult {
  /** vec4s that a lane hands over. */
  readonly give: readonly Expr[];
  /** Takes what another lane has handed over into this lane's. */
  readonly take: (theirs: readonly Expr[]) => void;
}

/** Sums, of which a lane takes the other's in by adding. */
export function partialSums(sums: readonly Variable[]): SplitResult {
  return {
    give: sums.map((sum) => sum.get),
    take: (theirs) => {
      sums.forEach((sum, i) => {
        sum.set(add(sum.get, theirs[i] ?? sum.get));
      });
    },
  };
}

/**
 * Brings partial results together in the lanes of split 0, one after the other through workgroup memory: the upper half of the splits hands over to
 * the lower half, until one is left. A fixed order, so the same bits in every run.
 */
export function mergeSplits(frame: Frame, partials: readonly SplitResult[]): void {
  const { b, schedule, lane } = frame;
  const { lanes, splits, dimLanes } = schedule;
  if (splits === 1) return;
  const perSplit = lanes * dimLanes;
  const slots = (splits / 2) * perSplit;
  const passed = b.shared('passed', 'vec4f', slots * Math.max(...partials.map(({ give }) => give.length)));
  const local = builtin('localX');
  partials.forEach(({ give, take }, i) => {
    for (let half = splits / 2; half >= 1; half /= 2) {
      const first = half === splits / 2;
      if (i > 0 || !first) b.barrier();
      const upper = ge(lane.split, u32(half));
      b.if(first ? upper : and(upper, lt(lane.split, u32(2 * half))), () => {
        const slot = b.let('slot', sub(local, u32(half * perSplit)));
        give.forEach((value, c) => {
          passed.setAt(add(slot, u32(c * slots)), value);
        });
      });
      b.barrier();
      b.if(lt(lane.split, u32(half)), () => take(give.map((_, c) => b.let('theirs', passed.at(add(local, u32(c * slots)))))));
    }
  });
}

/** Whether this lane stores a row: of split lanes the first, once all are merged. */
export function stores({ schedule, lane }: Frame, index: Expr, length: Expr): Expr {
  const exists = lt(index, length);
  return schedule.splits === 1 ? exists : and(eq(lane.split, u32(0)), exists);
}
