/** @file Lanes that split a walk: each takes every splits-th step for the same rows, and what they have summed up is brought together at the end. */

import { at, invariant } from '../../../../errors.ts';
import type { Variable } from '../../builder.ts';
import { add, and, builtin, eq, ge, lt, min, sub, u32 } from '../../expr.ts';
import type { Expr } from '../../ir.ts';
import type { Range } from '../frame.ts';
import type { RowsFrame } from './frame.ts';

/**
 * Walks this lane's steps of a range. Split lanes stay together to the last step, so that subgroup operations find all of them: past the end
 * a lane sees the last step again, and `inside` is false. `inside` is null where nothing is split.
 */
export function splitWalk(frame: RowsFrame, name: string, { from, to }: Range, body: (index: Expr, inside: Expr | null) => void): void {
  const { b, schedule, split } = frame;
  b.for(name, from, to, u32(schedule.splits), (base) => {
    if (schedule.splits === 1) return body(base, null);
    const own = b.let('own', add(base, split));
    return body(b.let(`${name}_in`, min(own, sub(to, u32(1)))), b.let('inside', lt(own, to)));
  });
}

/** Whether a pair counts: the step is this lane's own, and the key is seen. null: always. */
export function counts({ b }: RowsFrame, inside: Expr | null, sees: Expr | null): Expr | null {
  return inside === null || sees === null ? (inside ?? sees) : b.let('counts', and(inside, sees));
}

/** What lanes hold of one row, by name, as vec4s: what a lane hands over, and how it takes in what another has handed over. */
export interface SplitResult {
  readonly give: Readonly<Record<string, readonly Expr[]>>;
  readonly take: (theirs: (name: string) => readonly Expr[]) => void;
}

/** Sums by name, of which a lane takes the other's in by adding. */
export function partialSums(sums: readonly Variable[]): SplitResult {
  return {
    give: { sums: sums.map((sum) => sum.get) },
    take: (theirs) => sums.forEach((sum, i) => void sum.set(add(sum.get, at(theirs('sums'), i)))),
  };
}

/**
 * Brings partial results together in the lanes of split 0, one after the other through workgroup memory: the upper half of the splits hands over to
 * the lower half, until one is left. A fixed order, so the same bits in every run.
 */
export function mergeSplits(frame: RowsFrame, partials: readonly SplitResult[]): void {
  const { b, schedule } = frame;
  const { lanes, splits, dimLanes } = schedule;
  if (splits === 1) return;
  const slots = (splits / 2) * lanes * dimLanes;
  const passed = b.shared('passed', 'vec4f', slots * Math.max(...partials.map(({ give }) => Object.values(give).flat().length)));
  partials.forEach((partial, i) => {
    for (let half = splits / 2; half >= 1; half /= 2) {
      const first = half === splits / 2;
      if (i > 0 || !first) b.barrier();
      handOver(frame, partial, half, first, (slot, c) => add(slot, u32(c * slots)), passed);
      b.barrier();
      takeOver(frame, partial, half, (c) => passed.at(add(builtin('localX'), u32(c * slots))));
    }
  });
}

/** The upper half of the splits puts what it holds into workgroup memory. */
function handOver(
  { b, schedule, split }: RowsFrame,
  { give }: SplitResult,
  half: number,
  first: boolean,
  place: (slot: Expr, c: number) => Expr,
  passed: ReturnType<RowsFrame['b']['shared']>,
): void {
  const upper = ge(split, u32(half));
  b.if(first ? upper : and(upper, lt(split, u32(2 * half))), () => {
    const slot = b.let('slot', sub(builtin('localX'), u32(half * schedule.lanes * schedule.dimLanes)));
    Object.values(give)
      .flat()
      .forEach((value, c) => void passed.setAt(place(slot, c), value));
  });
}

/** The lower half takes it in. */
function takeOver({ b, split }: RowsFrame, { give, take }: SplitResult, half: number, passed: (c: number) => Expr): void {
  b.if(lt(split, u32(half)), () => {
    let c = 0;
    const theirs = new Map(Object.entries(give).map(([name, own]) => [name, own.map(() => b.let('theirs', passed(c++)))]));
    take((name) => {
      const found = theirs.get(name);
      invariant(found !== undefined, `${name} was handed over`);
      return found;
    });
  });
}

/** Whether this lane stores a row: of split lanes the first, once all are merged. */
export function stores({ schedule, split }: RowsFrame, index: Expr, length: Expr): Expr {
  const exists = lt(index, length);
  return schedule.splits === 1 ? exists : and(eq(split, u32(0)), exists);
}
