/** @file The one shape of the subgroup attention kernels: a tile of rows, a walk over the other side, sums spread over the lanes, stores. */

import type { BufferRef, Variable } from '../../builder.ts';
import { add, builtin, call, f32, hiddenBound, lt, min, mul, splat, sub, u32 } from '../../expr.ts';
import type { Expr, KType } from '../../ir.ts';
import { type Frame, rowStart, rowType, shifted } from '../frame.ts';
import { laneUnit, pairsInLane, storeTurned, turnedRow } from '../rotation.ts';

/** What differs between the kernels. */
export interface Walk {
  /** Heads, kv or query, of the walked side's tensors and of the rows'. */
  readonly heads: { readonly rows: number; readonly walked: number };
  readonly length: { readonly rows: Expr; readonly walked: Expr };
  readonly head: { readonly rows: Expr; readonly walked: Expr };
  /** Pairs of (row tensor, walked tensor) whose dot products are the scores. */
  readonly dots: readonly (readonly [BufferRef, BufferRef])[];
  /** The walked tensors that are summed up, one a weight. */
  readonly summed: readonly BufferRef[];
}

export interface Sums {
  /** [row][weight][chunk of the lane] */
  readonly of: readonly (readonly (readonly Variable[])[])[];
}

export const mulUnit = (value: Expr, by: Expr): Expr => (value.type === 'f32' ? mul(value, by) : mul(value, splat('vec4f', by)));

/** Units (vec4 or f32) of a row, and how many of them each lane sums up. */
function units({ spec, schedule }: Frame): { type: 'vec4f' | 'f32'; count: number; perLane: number } {
  const wide = spec.headDim % 4 === 0;
  const count = wide ? spec.headDim / 4 : spec.headDim;
  return { type: wide ? 'vec4f' : 'f32', count, perLane: Math.ceil(count / schedule.lanes) };
}

export function declareSums(frame: Frame, weights: number): Sums {
  const { type, perLane } = units(frame);
  const zero = type === 'f32' ? f32(0) : splat('vec4f', f32(0));
  return {
    of: Array.from({ length: frame.schedule.rows }, (_, r) =>
      Array.from({ length: weights }, (_w, w) => Array.from({ length: perLane }, (_u, u) => frame.b.var(`sum_${r}_${w}_${u}`, type, zero))),
    ),
  };
}

/**
 * Walks [from, to). `weigh` gives row r's weights of the lane's own walked index from its dot products; for lanes past
 * the end (`inside` false) they must be 0.
 */
export function walk(
  frame: Frame,
  w: Walk,
  rows: readonly Expr[],
  sums: Sums,
  from: Expr,
  to: Expr,
  weigh: (own: Expr, inside: Expr, dots: readonly (readonly Expr[])[]) => readonly (readonly Expr[])[],
): void {
  const { b, schedule } = frame;
  const { type, count, perLane } = units(frame);
  const starts = rows.map((row) => rowStart(frame, 'row_start', w.length.rows, w.heads.rows, row, w.head.rows));
  const chunk = Array.from({ length: perLane }, (_, u) => {
    const unit = laneUnit(frame, u);
    return b.let('unit', (u + 1) * schedule.lanes <= count ? unit : min(unit, u32(count - 1)));
  });
  // a load costs its lanes one by one, equal addresses or not: the lanes hold the rows between them, and ask each other
  const held = starts.map((start) => w.dots.map(([tensor]) => chunk.map((unit) => b.let('held', tensor.load(add(start, unit))))));
  b.for('step', from, to, u32(schedule.lanes), (step) => {
    const own = b.let('own', add(step, builtin('subgroupInvocation')));
    const last = b.let('last', sub(to, u32(1)));
    const ownStart = rowStart(frame, 'own_start', w.length.walked, w.heads.walked, b.let('own_in', min(own, last)), w.head.walked);
    const dots = rows.map(() => w.dots.map(() => b.var('dot', 'f32', f32(0))));
    chunk.forEach((_, u) => {
      const first = u * schedule.lanes;
      b.for('d', u32(0), hiddenBound(Math.min(schedule.lanes, count - first)), u32(1), (d) => {
        const walked = w.dots.map(([, tensor]) => b.let('walked', tensor.load(add(ownStart, add(d, u32(first))))));
        held.forEach((row, r) => {
          row.forEach((units, i) => {
            const [unit, right, sum] = [units[u], walked[i], dots[r]?.[i]];
            if (unit === undefined || right === undefined || sum === undefined) return;
            const left = b.let('left', call('subgroupShuffle', unit, d));
            sum.set(add(sum.get, type === 'f32' ? mul(left, right) : call('dot', left, right)));
          });
        });
      });
    });
    const weights = weigh(
      own,
      b.let('inside', lt(own, to)),
      dots.map((row) => row.map((dot) => dot.get)),
    );
    const present = b.let('present', min(hiddenBound(schedule.lanes), sub(to, step)));
    b.for('other', u32(0), present, u32(1), (other) => {
      const start = rowStart(frame, 'other_start', w.length.walked, w.heads.walked, add(step, other), w.head.walked);
      const values = w.summed.map((tensor) => chunk.map((unit) => b.let('value', tensor.load(add(start, unit)))));
      sums.of.forEach((ofRow, r) => {
        ofRow.forEach((ofWeight, i) => {
          const weight = b.let('weight', call('subgroupShuffle', weights[r]?.[i] ?? f32(0), other));
          ofWeight.forEach((sum, u) => {
            sum.set(add(sum.get, mulUnit(values[i]?.[u] ?? sum.get, weight)));
          });
        });
      });
    });
  });
}

/** Every row's sums of weight i, times `by`. */
export function scaledSums(sums: Sums, i: number, by: Expr): Expr[][] {
  return sums.of.map((row) => (row[i] ?? []).map((sum) => mulUnit(sum.get, by)));
}

/** Stores a row's units. */
export function store(frame: Frame, to: BufferRef, start: Expr, row: readonly Expr[]): void {
  const { count } = units(frame);
  row.forEach((value, u) => {
    const unit = laneUnit(frame, u);
    const write = (): void => to.store(add(start, unit), value);
    if ((u + 1) * frame.schedule.lanes <= count) write();
    else frame.b.if(lt(unit, u32(count)), write);
  });
}

export interface Tile {
  readonly first: Expr;
  readonly last: Expr;
  readonly index: readonly Expr[];
  readonly inside: readonly Expr[];
}

/** The tile's first row and its rows, kept inside `length`. */
export function tileRows(frame: Frame, length: Expr): Tile {
  const { b, schedule } = frame;
  const first = b.let('tile', mul(builtin('workgroupX'), u32(schedule.rows)));
  const end = b.let('end_row', sub(length, u32(1)));
  const index = Array.from({ length: schedule.rows }, (_, r) => add(first, u32(r)));
  return {
    first,
    index,
    last: b.let('last_row', min(add(first, u32(schedule.rows - 1)), end)),
    inside: index.map((row, r) => (r === 0 ? row : b.let('row', min(row, end)))),
  };
}

/** The element type of a buffer that `storeRows` writes: f32 where pairs lie in different lanes, which store element by element. */
export function storedType(frame: Frame, angles: BufferRef | null): KType {
  return angles === null || pairsInLane(frame) ? rowType(frame.spec) : 'f32';
}

/** Stores the rows of a tile that exist, turned back where there are angles. */
export function storeRows(
  frame: Frame,
  to: BufferRef,
  angles: BufferRef | null,
  { rows, tile, length, start }: { rows: readonly (readonly Expr[])[]; tile: Tile; length: Expr; start: (index: Expr) => Expr },
): void {
  if (angles !== null && !pairsInLane(frame)) {
    storeTurned(frame, { angles, to, rows, count: units(frame).count, first: tile.first, length, start });
    return;
  }
  tile.index.forEach((index, r) => {
    const row = turnedRow(frame, angles, shifted(frame, tile.inside[r] ?? index), rows[r] ?? []);
    frame.b.if(lt(index, length), () => {
      store(frame, to, start(index), row);
    });
  });
}
