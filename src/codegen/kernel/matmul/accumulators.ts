/** @file The sums that a lane keeps, and how they are stored. */

import { at, invariant } from '../../../errors.ts';
import type { ArrayRef, KernelBuilder, Variable } from '../builder.ts';
import { add, component, f32, hiddenBound, lt, mul, rem, splat, u32, vec } from '../expr.ts';
import type { Expr } from '../ir.ts';
import { dividesBy } from '../size.ts';
import type { TileCut } from './kind.ts';
import type { LaneTile, Tile } from './tile.ts';

/** rows × cols sums of one result, kept as scalars or as vec4 along n. */
export interface Accumulators {
  readonly vector: boolean;
  add(r: number, c: number, value: Expr): void;
  /** The vec4 at (r, c), c a multiple of 4; or the scalar. */
  at(r: number, c: number): Expr;
  scalar(r: number, c: number): Expr;
  set(r: number, c: number, value: Expr): void;
}

function accumulators(b: KernelBuilder, { rows, cols }: TileCut, vector: boolean): Accumulators {
  const step = vector ? 4 : 1;
  const zero = vector ? splat('vec4f', f32(0)) : f32(0);
  const sums: Variable[] = [];
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c += step) sums.push(b.var(`sum_${r}_${c}`, vector ? 'vec4f' : 'f32', zero));
  const sum = (r: number, c: number): Variable => at(sums, r * (cols / step) + Math.floor(c / step));
  return {
    vector,
    add: (r, c, value) => sum(r, c).set(add(sum(r, c).get, value)),
    at: (r, c) => sum(r, c).get,
    scalar: (r, c) => (vector ? component(sum(r, c).get, c % 4) : sum(r, c).get),
    set: (r, c, value) => sum(r, c).set(value),
  };
}

/** The accumulators of every result. */
export function allAccumulators(b: KernelBuilder, { spec, cut }: Tile, vector: boolean): Accumulators[] {
  return Array.from({ length: spec.results }, () => accumulators(b, cut, vector));
}

/** How elements of a lane's tile go to memory: one by one, or four at a time down the rows or across the columns. */
interface Stride {
  readonly axis: 'm' | 'n' | null;
  readonly down: 1 | 4;
  readonly across: 1 | 4;
}

function strideOf({ spec, cut }: LaneTile): Stride {
  const { vectorAxis } = spec.store;
  const axis = vectorAxis !== null && dividesBy(spec[vectorAxis], 4) ? vectorAxis : null;
  // A store of single elements into a vec4 buffer would race with the neighbour lane's.
  invariant((axis === 'm' ? cut.rows : axis === 'n' ? cut.cols : 0) % 4 === 0, 'a matmul with a vec4 result needs a multiple of 4 rows or columns a lane');
  return { axis, down: axis === 'm' ? 4 : 1, across: axis === 'n' ? 4 : 1 };
}

/** The value that is stored at (r, c): one sum, or four neighbours along the axis. */
function stored(sums: Accumulators, { axis }: Stride, r: number, c: number): Expr {
  if (axis === null) return sums.scalar(r, c);
  if (axis === 'n' && sums.vector) return sums.at(r, c);
  const four = [0, 1, 2, 3].map((i) => (axis === 'm' ? sums.scalar(r + i, c) : sums.scalar(r, c + i)));
  return vec('vec4f', four);
}

/** Stores a lane's results, guarded where the tile may overhang. @param inLoop see `storeLoop` of schedules */
export function storeTile(b: KernelBuilder, tile: LaneTile, results: readonly Accumulators[], inLoop = false): void {
  const stride = strideOf(tile);
  const { rows } = tile.cut;
  if (inLoop && rows > stride.down) {
    storeInLoop(b, tile, stride, results);
    return;
  }
  for (let r = 0; r < rows; r += stride.down) {
    storeRow(b, tile, stride, tile.row(r), (c) => results.map((sums) => stored(sums, stride, r, c)));
  }
}

/** Copies the sums into an array, and stores its rows in a loop whose end the driver cannot know. */
function storeInLoop(b: KernelBuilder, tile: LaneTile, stride: Stride, results: readonly Accumulators[]): void {
  const { rows, cols } = tile.cut;
  const { axis, down, across } = stride;
  const inRow = cols / across;
  const arrays = results.map((sums): ArrayRef => {
    const array = b.array('sums', axis === null ? 'f32' : 'vec4f', (rows / down) * inRow);
    for (let r = 0; r < rows; r += down) for (let c = 0; c < cols; c += across) array.setAt(u32((r / down) * inRow + c / across), stored(sums, stride, r, c));
    return array;
  });
  b.for('r', u32(0), hiddenBound(rows / down), u32(1), (r) => {
    // The index is a remainder, because Mesa also guesses how often a loop runs from the length of an array that its counter indexes.
    const first = b.let('first', mul(rem(r, u32(rows / down)), u32(inRow)));
    storeRow(b, tile, stride, b.let('m', tile.rowAt(mul(r, u32(down)))), (c) => arrays.map((array) => array.at(add(first, u32(c / across)))));
  });
}

/** Stores row m: `values` gives those of each result from column c of the lane on. */
function storeRow(b: KernelBuilder, tile: LaneTile, { axis, across }: Stride, m: Expr, values: (c: number) => readonly Expr[]): void {
  const { spec, size, batch, cut } = tile;
  const { lanes, rows, cols } = cut;
  const guarded = (inside: boolean, index: Expr, limit: Expr, body: () => void): void => (inside ? body() : b.if(lt(index, limit), body));
  guarded(dividesBy(spec.m, lanes[1] * rows), m, size.m, () => {
    for (let c = 0; c < cols; c += across) {
      const n = tile.col(c);
      guarded(dividesBy(spec.n, lanes[0] * cols), n, size.n, () => spec.store.store({ batch, m, n }, values(c), axis === null ? 1 : 4));
    }
  });
}
