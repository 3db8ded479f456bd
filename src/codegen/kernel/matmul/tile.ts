/** @file What every matmul kernel shares: the tile's indices, clamped for loads and guarded for stores, its operands and accumulators. */

import { invariant } from '../../../errors.ts';
import type { KernelBuilder, Variable } from '../builder.ts';
import { add, builtin, component, div, f32, hiddenBound, lt, min, mul, rem, splat, sub, u32, vec } from '../expr.ts';
import type { Expr } from '../ir.ts';
import { dividesBy, type Size, sizeExpr } from '../size.ts';
import { matrixOf } from './matrix/schedule.ts';
import type { MatmulSchedule } from './schedule.ts';
import type { MatmulPort, MatmulSpec } from './spec.ts';

/** How an operand is loaded: four along k, four along its own axis, or one by one. */
export type LoadMode = 'k' | 'mn' | 'scalar';

/** An operand of a loop: its port, and how it is read. */
export interface TileOperand {
  readonly which: 'a' | 'b';
  readonly port: MatmulPort;
  readonly mode: LoadMode;
}

/** A loop along k with each of its operands once. */
export interface TileLoop {
  readonly size: Size;
  readonly k: Expr;
  /** Where this workgroup's share of k starts and ends. */
  readonly from: Expr;
  readonly to: Expr;
  readonly a: readonly TileOperand[];
  readonly b: readonly TileOperand[];
  readonly products: readonly { readonly a: TileOperand; readonly b: TileOperand; readonly into: number }[];
}

export interface Tile {
  readonly spec: MatmulSpec;
  readonly schedule: MatmulSchedule;
  readonly loops: readonly TileLoop[];
  readonly size: { readonly m: Expr; readonly n: Expr };
  readonly batch: Expr;
  readonly lane: { readonly n: Expr; readonly m: Expr; readonly k: Expr };
  readonly tileM: Expr;
  readonly tileN: Expr;
}

/** A tile whose lanes each compute rows × cols elements. */
export interface LaneTile extends Tile {
  /** Index of the lane's row r and column c, unclamped. */
  readonly row: (r: number) => Expr;
  readonly col: (c: number) => Expr;
  /** The same of a row known at run time. */
  readonly rowAt: (r: Expr) => Expr;
}

/** Declares the tile's indices. */
export function tileContext(b: KernelBuilder, spec: MatmulSpec, schedule: MatmulSchedule): Tile {
  const { lanes, rows, cols, depth, kLanes, kFirst, kGroups } = schedule;
  const size = { m: b.let('size_m', sizeExpr(spec.m, spec.dim)), n: b.let('size_n', sizeExpr(spec.n, spec.dim)) };
  const batched = spec.batch.of.some((factor) => factor !== 1);
  const batches = kGroups > 1 && batched ? b.let('batches', sizeExpr(spec.batch, spec.dim)) : u32(1);
  const split = kGroups > 1 && batched ? b.let('split', div(builtin('workgroupZ'), batches)) : builtin('workgroupZ');
  const range = (size: Size): Pick<TileLoop, 'k' | 'from' | 'to'> => {
    const k = b.let('size_k', sizeExpr(size, spec.dim));
    if (kGroups === 1) return { k, from: u32(0), to: k };
    // shares are whole steps, so that only the last may have a rest
    const step = depth * kLanes;
    const share = b.let('share', mul(div(add(k, u32(kGroups * step - 1)), u32(kGroups * step)), u32(step)));
    const from = b.let('from_k', min(mul(split, share), k));
    return { k, from, to: b.let('to_k', min(add(from, share), k)) };
  };
  const loops = spec.loops.map(({ k, products }): TileLoop => {
    const operands = new Map<MatmulPort, TileOperand>();
    const operandOf = (which: 'a' | 'b', port: MatmulPort): TileOperand => {
      const known = operands.get(port);
      if (known?.which === which) return known;
      const [own, per, wanted] = which === 'a' ? ([spec.m, rows, schedule.vectorA] as const) : ([spec.n, cols, schedule.vectorB] as const);
      const made: TileOperand = { which, port, mode: loadMode(port, k, own, per, wanted, schedule.depth) };
      operands.set(port, made);
      return made;
    };
    const made = products.map((p) => ({ a: operandOf('a', p.a), b: operandOf('b', p.b), into: p.into }));
    const once = (list: readonly TileOperand[]): TileOperand[] => [...new Set(list)];
    return { size: k, ...range(k), a: once(made.map((p) => p.a)), b: once(made.map((p) => p.b)), products: made };
  });
  // of a matrix matmul the lanes are subgroups
  const subgroup = schedule.kind === 'matrix' ? b.let('subgroup', div(builtin('localIndex'), u32(matrixOf(schedule).lanes))) : null;
  const lane = subgroup
    ? { n: b.let('subgroup_n', rem(subgroup, u32(lanes[0]))), m: b.let('subgroup_m', div(subgroup, u32(lanes[0]))), k: u32(0) }
    : {
        n: lanes[0] === 1 ? u32(0) : builtin(kFirst ? 'localY' : 'localX'),
        m: lanes[1] === 1 ? u32(0) : builtin(kFirst ? 'localZ' : 'localY'),
        k: kLanes === 1 ? u32(0) : builtin(kFirst ? 'localX' : 'localZ'),
      };
  const tileM = b.let('tile_m', mul(builtin('workgroupY'), u32(lanes[1] * rows)));
  const tileN = b.let('tile_n', mul(builtin('workgroupX'), u32(lanes[0] * cols)));
  return {
    spec,
    schedule,
    loops,
    size,
    lane,
    tileM,
    tileN,
    batch: !batched ? u32(0) : kGroups > 1 ? b.let('batch', rem(builtin('workgroupZ'), batches)) : builtin('workgroupZ'),
  };
}

/** The tile with the indices of each lane's rows and columns. */
export function laneTile(b: KernelBuilder, tile: Tile): LaneTile {
  const { schedule, lane, tileM, tileN } = tile;
  const { lanes, rows, cols } = schedule;
  // groups of four neighbours, so that they can be one vec4; groups of different lanes interleave
  const indices = (name: string, start: Expr, index: Expr, count: number, per: number): ((i: number) => Expr) => {
    const group = per % 4 === 0 ? 4 : 1;
    const starts: Expr[] = [];
    for (let g = 0; g < per / group; g++) {
      const first = add(add(start, mul(index, u32(group))), u32(g * count * group));
      starts.push(b.let(`${name}${g * group}`, first));
    }
    return (i) => add(starts[Math.floor(i / group)] ?? start, u32(i % group));
  };
  const group = rows % 4 === 0 ? 4 : 1;
  const first = add(tileM, mul(lane.m, u32(group)));
  const rowAt = (r: Expr): Expr => (lanes[1] === 1 ? add(tileM, r) : add(add(first, mul(div(r, u32(group)), u32(lanes[1] * group))), rem(r, u32(group))));
  return { ...tile, row: indices('m', tileM, lane.m, lanes[1], rows), col: indices('n', tileN, lane.n, lanes[0], cols), rowAt };
}

function loadMode(port: MatmulPort, k: Size, own: Size, per: number, wanted: boolean, depth: number): LoadMode {
  if (!wanted || port.vectorAxis === null) return 'scalar';
  if (port.vectorAxis === 'k') return depth % 4 === 0 && dividesBy(k, 4) ? 'k' : 'scalar';
  return per % 4 === 0 && dividesBy(own, 4) ? 'mn' : 'scalar';
}

/** `index`, kept below `size` for a load of `width` elements unless tiles of `tile` cover the size exactly. */
export function clamped(index: Expr, exact: boolean, size: Expr, width: 1 | 4): Expr {
  return exact ? index : min(index, sub(size, u32(width)));
}

/** rows × cols sums of one result, kept as scalars or as vec4 along n. */
export interface Accumulators {
  readonly vector: boolean;
  add(r: number, c: number, value: Expr): void;
  /** The vec4 at (r, c), c a multiple of 4; or the scalar. */
  at(r: number, c: number): Expr;
  scalar(r: number, c: number): Expr;
  set(r: number, c: number, value: Expr): void;
}

export function accumulators(b: KernelBuilder, rows: number, cols: number, vector: boolean): Accumulators {
  const step = vector ? 4 : 1;
  const sums: Variable[] = [];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c += step) {
      sums.push(b.var(`sum_${r}_${c}`, vector ? 'vec4f' : 'f32', vector ? splat('vec4f', f32(0)) : f32(0)));
    }
  }
  const at = (r: number, c: number): Variable => {
    const sum = sums[r * (cols / step) + Math.floor(c / step)];
    if (sum === undefined) throw new RangeError(`accumulator ${r}, ${c}`);
    return sum;
  };
  return {
    vector,
    add: (r, c, value) => at(r, c).set(add(at(r, c).get, value)),
    at: (r, c) => at(r, c).get,
    scalar: (r, c) => (vector ? component(at(r, c).get, c % 4) : at(r, c).get),
    set: (r, c, value) => at(r, c).set(value),
  };
}

/** The accumulators of every result. */
export function allAccumulators(b: KernelBuilder, { spec, schedule }: Tile, vector: boolean): Accumulators[] {
  return Array.from({ length: spec.results }, () => accumulators(b, schedule.rows, schedule.cols, vector));
}

/** Stores the lane's results, guarded where the tile may overhang. */
export function storeTile(b: KernelBuilder, tile: LaneTile, results: readonly Accumulators[]): void {
  const { spec, schedule, size, batch } = tile;
  const out = spec.store;
  const { rows, cols, lanes, storeLoop } = schedule;
  const axis = out.vectorAxis !== null && dividesBy(spec[out.vectorAxis], 4) ? out.vectorAxis : null;
  // a store of single elements into a vec4 buffer would race with the neighbour lane's
  invariant((axis === 'm' ? rows : axis === 'n' ? cols : 0) % 4 === 0, 'a matmul with a vec4 result needs a multiple of 4 rows or columns a lane');
  const [down, across] = axis === 'm' ? ([4, 1] as const) : axis === 'n' ? ([1, 4] as const) : ([1, 1] as const);
  const guard = (inside: boolean, index: Expr, limit: Expr, body: () => void): void => (inside ? body() : b.if(lt(index, limit), body));
  const value = (sums: Accumulators, r: number, c: number): Expr => {
    if (axis === null) return sums.scalar(r, c);
    if (axis === 'n' && sums.vector) return sums.at(r, c);
    const four = [0, 1, 2, 3].map((i) => (axis === 'm' ? sums.scalar(r + i, c) : sums.scalar(r, c + i)));
    return vec('vec4f', four);
  };
  const storeRow = (m: Expr, at: (c: number) => readonly Expr[]): void =>
    guard(dividesBy(spec.m, lanes[1] * rows), m, size.m, () => {
      for (let c = 0; c < cols; c += across) {
        const n = tile.col(c);
        guard(dividesBy(spec.n, lanes[0] * cols), n, size.n, () => {
          out.store({ batch, m, n }, at(c), axis === null ? 1 : 4);
        });
      }
    });
  if (!storeLoop || rows === down) {
    for (let r = 0; r < rows; r += down) storeRow(tile.row(r), (c) => results.map((sums) => value(sums, r, c)));
    return;
  }
  const inRow = cols / across;
  const arrays = results.map((sums) => {
    const array = b.array('sums', axis === null ? 'f32' : 'vec4f', (rows / down) * inRow);
    for (let r = 0; r < rows; r += down) for (let c = 0; c < cols; c += across) array.setAt(u32((r / down) * inRow + c / across), value(sums, r, c));
    return array;
  });
  b.for('r', u32(0), hiddenBound(rows / down), u32(1), (r) => {
    // by the remainder: Mesa also guesses how often a loop runs from the length of an array that its counter indexes
    const first = b.let('first', mul(rem(r, u32(rows / down)), u32(inRow)));
    storeRow(b.let('m', tile.rowAt(mul(r, u32(down)))), (c) => arrays.map((array) => array.at(add(first, u32(c / across)))));
  });
}
