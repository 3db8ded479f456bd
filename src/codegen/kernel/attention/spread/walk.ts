/**
 * @file The one shape of the kernels whose rows are spread over a subgroup: a walk over the other side in steps of a subgroup. Dot products of row and
 * walked vectors, lanes along the walked side, give weights; weighted walked vectors are summed up, lanes along the head dimension.
 */

import { at } from '../../../../errors.ts';
import type { BufferRef, Variable } from '../../builder.ts';
import { add, builtin, call, f32, hiddenBound, lt, min, mul, splat, sub, u32 } from '../../expr.ts';
import type { Expr } from '../../ir.ts';
import { type Range, rowStart, rowType, rowUnits } from '../frame.ts';
import { mulUnit, type SpreadFrame, unitsPerLane } from './frame.ts';

/** Something that the rows have, and that the walked side has too. */
interface Sides<T> {
  readonly rows: T;
  readonly walked: T;
}

/** What differs between the kernels: dot products by the names D, sums by the names S. */
export interface SpreadWalk<D extends string, S extends string> {
  /** Heads, kv or query, of each side's tensors. */
  readonly heads: Sides<number>;
  readonly length: Sides<Expr>;
  readonly head: Sides<Expr>;
  /** The tensors whose rows are multiplied. */
  readonly dots: Readonly<Record<D, Sides<BufferRef>>>;
  /** The walked tensors that are summed up, each by weights of its own. */
  readonly summed: Readonly<Record<S, BufferRef>>;
}

/** The sums of each row, by name: a variable for each unit of the lane. */
export type Sums<S extends string> = readonly Readonly<Record<S, readonly Variable[]>>[];

/** A record with the same names. */
function mapRecord<N extends string, A, B>(record: Readonly<Record<N, A>>, f: (value: A, index: number) => B): Readonly<Record<N, B>> {
  const entries = Object.entries<A>(record).map(([name, value], i) => [name, f(value, i)]);
  // Object.fromEntries cannot say that the names are those of `record`.
  return Object.fromEntries(entries) as Record<N, B>;
}

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Declares the sums of every row. */
export function declareSums<S extends string>(frame: SpreadFrame, summed: Readonly<Record<S, unknown>>): Sums<S> {
  const type = rowType(frame.spec);
  const zero = type === 'f32' ? f32(0) : splat('vec4f', f32(0));
  return range(frame.schedule.rows).map((r) =>
    mapRecord(summed, (_, i): readonly Variable[] => range(unitsPerLane(frame)).map((u) => frame.b.var(`sum_${r}_${i}_${u}`, type, zero))),
  );
}

/** The sums of one name, times `by`. */
export function scaledSums<S extends string>(sums: Sums<S>, name: S, by: Expr): readonly (readonly Expr[])[] {
  return sums.map((row) => row[name].map((sum) => mulUnit(sum.get, by)));
}

/** A lane's own index on the walked side, whether it is before the end, and the dot products of each row with what lies there. */
export interface WalkStep<D extends string> {
  readonly own: Expr;
  readonly inside: Expr;
  readonly dots: readonly Readonly<Record<D, Expr>>[];
}

/**
 * Walks a range and adds to the sums of `rows`. `weigh` gives each row's weights of the lane's own walked index; for lanes past the end they
 * must be 0.
 */
export function walk<D extends string, S extends string>(
  frame: SpreadFrame,
  w: SpreadWalk<D, S>,
  rows: readonly Expr[],
  sums: Sums<S>,
  { from, to }: Range,
  weigh: (step: WalkStep<D>) => readonly Readonly<Record<S, Expr>>[],
): void {
  const { b, schedule } = frame;
  const starts = rows.map((row) => rowStart(frame, 'row_start', w.length.rows, w.heads.rows, row, w.head.rows));
  const units = ownUnits(frame);
  // A load costs each lane alone, even where addresses are equal: so the lanes hold the rows between them, and ask each other.
  const held = starts.map((start) => mapRecord(w.dots, (dot) => units.map((unit) => b.let('held', dot.rows.load(add(start, unit))))));
  b.for('step', from, to, u32(schedule.lanes), (step) => {
    const own = b.let('own', add(step, builtin('subgroupInvocation')));
    const last = b.let('last', sub(to, u32(1)));
    const start = rowStart(frame, 'own_start', w.length.walked, w.heads.walked, b.let('own_in', min(own, last)), w.head.walked);
    const dots = dotProducts(frame, w, held, start);
    const weights = weigh({ own, inside: b.let('inside', lt(own, to)), dots });
    const present = b.let('present', min(hiddenBound(schedule.lanes), sub(to, step)));
    b.for('other', u32(0), present, u32(1), (other) => addWeighted(frame, w, units, sums, weights, { step, other }));
  });
}

/** The index in a row of each unit that the lane holds, kept in bounds. */
function ownUnits({ b, spec, schedule, held }: SpreadFrame): readonly Expr[] {
  const count = rowUnits(spec);
  return range(Math.ceil(count / schedule.lanes)).map((u) =>
    b.let('unit', (u + 1) * schedule.lanes <= count ? held.unit(u) : min(held.unit(u), u32(count - 1))),
  );
}

/** Dot products of every row, whose units the lanes hold, with what lies at each lane's own walked index. */
function dotProducts<D extends string, S extends string>(
  { b, spec, schedule }: SpreadFrame,
  w: SpreadWalk<D, S>,
  held: readonly Readonly<Record<D, readonly Expr[]>>[],
  start: Expr,
): readonly Readonly<Record<D, Expr>>[] {
  const count = rowUnits(spec);
  const dots = held.map((row) => mapRecord(row, (units) => ({ units, sum: b.var('dot', 'f32', f32(0)) })));
  for (const u of range(Math.ceil(count / schedule.lanes))) {
    const first = u * schedule.lanes;
    b.for('d', u32(0), hiddenBound(Math.min(schedule.lanes, count - first)), u32(1), (d) => {
      const walked = mapRecord(w.dots, (dot) => b.let('walked', dot.walked.load(add(start, add(d, u32(first))))));
      for (const row of dots)
        for (const name of namesOf(w.dots)) {
          const { units, sum } = row[name];
          const left = b.let('left', call('subgroupShuffle', at(units, u), d));
          sum.set(add(sum.get, left.type === 'f32' ? mul(left, walked[name]) : call('dot', left, walked[name])));
        }
    });
  }
  return dots.map((row) => mapRecord(row, ({ sum }) => sum.get));
}

const namesOf = <N extends string>(record: Readonly<Record<N, unknown>>): readonly N[] => Object.keys(record) as N[];

/** Adds to every row's sums what lies at another lane's walked index, by the weights that lane has. */
function addWeighted<D extends string, S extends string>(
  frame: SpreadFrame,
  w: SpreadWalk<D, S>,
  units: readonly Expr[],
  sums: Sums<S>,
  weights: readonly Readonly<Record<S, Expr>>[],
  { step, other }: { readonly step: Expr; readonly other: Expr },
): void {
  const { b } = frame;
  const start = rowStart(frame, 'other_start', w.length.walked, w.heads.walked, add(step, other), w.head.walked);
  const values = mapRecord(w.summed, (tensor) => units.map((unit) => b.let('value', tensor.load(add(start, unit)))));
  sums.forEach((row, r) => {
    for (const name of namesOf(w.summed)) {
      const weight = b.let('weight', call('subgroupShuffle', at(weights, r)[name], other));
      row[name].forEach((sum, u) => void sum.set(add(sum.get, mulUnit(at(values[name], u), weight))));
    }
  });
}
