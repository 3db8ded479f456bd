/** @file Matmul from registers: each lane loads what it needs; A may be shared by broadcast, k by several lanes. */

import { invariant } from '../../../../errors.ts';
import type { KernelBuilder } from '../../builder.ts';
import { add, builtin, call, component, div, eq, max, mul, rem, splat, sub, u32 } from '../../expr.ts';
import type { Expr } from '../../ir.ts';
import { dividesBy } from '../../size.ts';
import type { MatmulSchedule } from '../schedule.ts';
import { type Accumulators, allAccumulators, clamped, type LaneTile, type LoadMode, storeTile, type Tile, type TileOperand } from '../tile.ts';

/** Four-wide or scalar values of one operand for a step of k: `at(i, kk)` is element (i, k + kk). */
interface Loaded {
  readonly mode: LoadMode;
  /** Mode k: the vec4 along k of i, for the four k from kk. Mode mn: the vec4 along the own axis, i a multiple of 4. */
  vec(i: number, kk: number): Expr;
  at(i: number, kk: number): Expr;
}

/** The whole body of a register or subgroup matmul. */
export function registerBody(b: KernelBuilder, tile: LaneTile): void {
  const { schedule, loops, lane } = tile;
  const { kLanes } = schedule;
  const broadcast = schedule.kind === 'subgroup';
  const { depth } = schedule;
  const indices = operandIndices(b, tile);
  const results = allAccumulators(
    b,
    tile,
    loops.every((loop) => loop.b.every(({ mode }) => mode === 'mn')),
  );
  for (const loop of loops) {
    const step = (k: Expr, count: number, tail: boolean): void => {
      const a = new Map(
        loop.a.map((o) => [o, broadcast && !tail ? broadcastA(b, tile, o, indices(o), k, count) : load(b, tile, o, indices(o), k, count, tail)]),
      );
      const right = new Map(loop.b.map((o) => [o, load(b, tile, o, indices(o), k, count, tail)]));
      for (const p of loop.products) multiply(a.get(p.a) as Loaded, right.get(p.b) as Loaded, results[p.into] as Accumulators, schedule, count);
    };
    const exact = dividesBy(loop.size, depth);
    const end = exact ? loop.to : b.let('main_k', sub(loop.to, rem(loop.to, u32(depth))));
    // a share without any k starts behind the last whole step
    const rest = schedule.kGroups > 1 ? max(end, loop.from) : end;
    b.for('k', add(loop.from, mul(lane.k, u32(depth))), end, u32(depth * kLanes), (k) => step(k, depth, false));
    if (!exact) b.for('k', add(rest, lane.k), loop.to, u32(kLanes), (k) => step(k, 1, true));
  }
  if (kLanes > 1) reduceLanes(b, tile, results);
  else storeTile(b, tile, results);
}

/** Clamped indices of an operand's rows or columns (of every fourth in mode mn), the same for operands of one kind. */
function operandIndices(b: KernelBuilder, tile: LaneTile): (operand: TileOperand) => (i: number) => Expr {
  const made = new Map<string, (i: number) => Expr>();
  const make = ({ which, mode }: TileOperand): ((i: number) => Expr) => {
    const { schedule, spec, size } = tile;
    const [count, across, index, own] =
      which === 'a' ? ([schedule.rows, schedule.lanes[1], tile.row, spec.m] as const) : ([schedule.cols, schedule.lanes[0], tile.col, spec.n] as const);
    const width = mode === 'mn' ? 4 : 1;
    const limit = which === 'a' ? size.m : size.n;
    const exact = dividesBy(own, count * across);
    const kept: Expr[] = [];
    for (let i = 0; i < count; i += width) {
      kept.push(exact ? index(i) : b.let(`${which}_index${i}`, clamped(index(i), false, limit, width)));
    }
    return (i) => kept[i / width] ?? u32(0);
  };
  const indices = (operand: TileOperand): ((i: number) => Expr) => {
    const key = `${operand.which}${operand.mode === 'mn'}`;
    const known = made.get(key) ?? make(operand);
    made.set(key, known);
    return known;
  };
  // declared before the loops that use them
  for (const loop of tile.loops) for (const operand of [...loop.a, ...loop.b]) indices(operand);
  return indices;
}

/** `tail`: k may be odd, so nothing is loaded four-wide along k. */
function load(
  b: KernelBuilder,
  tile: Tile,
  { which, port, mode: wanted }: TileOperand,
  index: (i: number) => Expr,
  k: Expr,
  depth: number,
  tail: boolean,
): Loaded {
  const mode = tail && wanted === 'k' ? 'scalar' : wanted;
  const count = which === 'a' ? tile.schedule.rows : tile.schedule.cols;
  const values: Expr[][] = [];
  for (let i = 0; i < count; i += mode === 'mn' ? 4 : 1) {
    const along: Expr[] = [];
    for (let kk = 0; kk < depth; kk += mode === 'k' ? 4 : 1) {
      const at = { batch: tile.batch, mn: index(i), k: add(k, u32(kk)) };
      along.push(b.let(`${which}${i}_${kk}`, port.load(at, mode === 'scalar' ? 1 : 4)));
    }
    values.push(along);
  }
  return loaded(mode, values);
}

/**
 * The subgroup's lanes load A's rows × depth between them, and each gets all of it by broadcast. A load that differs by lane is what costs, so
 * it is four wide where it can be: vector v of the tile, in the order of its elements in memory, comes by load v / lanes to lane v % lanes.
 */
function broadcastA(b: KernelBuilder, tile: LaneTile, operand: TileOperand, index: (i: number) => Expr, k: Expr, depth: number): Loaded {
  const { lanes, rows } = tile.schedule;
  const { port, mode: wanted } = operand;
  const [width] = lanes;
  const lane = builtin('subgroupInvocation');
  const vectors = (rows * depth) / 4;
  const even = rows % 4 === 0 && depth % 4 === 0 && (vectors % width === 0 || width % vectors === 0);
  const mode = even ? wanted : 'scalar';
  const get = (name: string, own: Expr, from: number): Expr => b.let(name, call('subgroupBroadcast', own, u32(from)));
  if (mode === 'scalar') {
    const own = Array.from({ length: rows }, (_, r) => b.let(`a${r}`, port.load({ batch: tile.batch, mn: index(r), k: add(k, rem(lane, u32(depth))) }, 1)));
    return loaded(
      mode,
      own.map((value, r) => Array.from({ length: depth }, (_, kk) => get(`a${r}_${kk}`, value, kk))),
    );
  }
  // k: vectors of a row are side by side; mn: those of a column of four rows
  const [lines, across, inLine] = mode === 'k' ? ([rows, depth / 4, 1] as const) : ([rows / 4, depth, 4] as const);
  const exact = dividesBy(tile.spec.m, rows);
  const own = Array.from({ length: Math.ceil(vectors / width) }, (_, i) => {
    const v = b.let('v', rem(add(lane, u32(i * width)), u32(vectors)));
    const row = clamped(add(tile.tileM, mul(div(v, u32(across)), u32(inLine))), exact, tile.size.m, mode === 'k' ? 1 : 4);
    return b.let('a', port.load({ batch: tile.batch, mn: row, k: add(k, mul(rem(v, u32(across)), u32(mode === 'k' ? 4 : 1))) }, 4));
  });
  return loaded(
    mode,
    Array.from({ length: lines }, (_, line) =>
      Array.from({ length: across }, (_, i) => {
        const v = line * across + i;
        const load = own[Math.floor(v / width)];
        invariant(load !== undefined, `vector ${v} of A's tile is loaded`);
        return get(`a${line * inLine}_${i}`, load, v % width);
      }),
    ),
  );
}

function loaded(mode: LoadMode, values: readonly (readonly Expr[])[]): Loaded {
  const get = (i: number, kk: number): Expr => {
    const value = values[i]?.[kk];
    if (value === undefined) throw new RangeError(`operand ${i}, ${kk}`);
    return value;
  };
  const wide = (i: number, kk: number): Expr => (mode === 'k' ? get(i, Math.floor(kk / 4)) : get(Math.floor(i / 4), kk));
  return {
    mode,
    vec: wide,
    at: (i, kk) => (mode === 'scalar' ? get(i, kk) : component(wide(i, kk), mode === 'k' ? kk % 4 : i % 4)),
  };
}

function multiply(a: Loaded, b: Loaded, sums: Accumulators, { kind, rows, cols, fold, fma }: MatmulSchedule, depth: number): void {
  const dots = kind === 'register' && a.mode === 'k' && b.mode === 'k';
  const width = dots ? 4 : 1;
  const factors = (r: number, c: number, kk: number): [Expr, Expr] =>
    dots ? [a.vec(r, kk), b.vec(c, kk)] : sums.vector ? [splat('vec4f', a.at(r, kk)), b.vec(c, kk)] : [a.at(r, kk), b.at(c, kk)];
  const total = (sum: Expr, terms: readonly [Expr, Expr][]): Expr => {
    if (fma && !dots) return terms.reduce((so, [x, y]) => call('fma', x, y, so), sum);
    return add(sum, pairwise(terms.map(([x, y]) => (dots ? call('dot', x, y) : mul(x, y)))));
  };
  const step = sums.vector ? 4 : 1;
  const together = Math.max(width, Math.min(fold, depth));
  for (let from = 0; from < depth; from += together) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c += step) {
        const terms: [Expr, Expr][] = [];
        for (let kk = from; kk < Math.min(from + together, depth); kk += width) terms.push(factors(r, c, kk));
        sums.set(r, c, total(sums.at(r, c), terms));
      }
    }
  }
}

/** The sum of terms as a balanced tree. */
function pairwise(terms: readonly Expr[]): Expr {
  const [first] = terms;
  if (first === undefined) throw new RangeError('a sum of nothing');
  if (terms.length === 1) return first;
  const half = Math.ceil(terms.length / 2);
  return add(pairwise(terms.slice(0, half)), pairwise(terms.slice(half)));
}

/** Adds the partial sums of the lanes along k; their first stores. */
function reduceLanes(b: KernelBuilder, tile: LaneTile, results: readonly Accumulators[]): void {
  const { rows, cols, kLanes, lanes } = tile.schedule;
  const vector = results[0]?.vector ?? false;
  const step = vector ? 4 : 1;
  const each = rows * (cols / step);
  const per = each * results.length;
  const partial = b.shared('partial', vector ? 'vec4f' : 'f32', per * kLanes * lanes[0] * lanes[1]);
  const own = b.let('own', mul(add(tile.lane.n, mul(tile.lane.m, u32(lanes[0]))), u32(kLanes * per)));
  const overAll = (body: (sums: Accumulators, r: number, c: number, slot: Expr) => void): void =>
    results.forEach((sums, i) => {
      for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c += step) body(sums, r, c, u32(i * each + (r * cols + c) / step));
    });
  overAll((sums, r, c, slot) => partial.setAt(add(add(own, mul(tile.lane.k, u32(per))), slot), sums.at(r, c)));
  b.barrier();
  b.if(eq(tile.lane.k, u32(0)), () => {
    b.for('other', u32(1), u32(kLanes), u32(1), (other) => {
      overAll((sums, r, c, slot) => sums.add(r, c, partial.at(add(add(own, mul(other, u32(per))), slot))));
    });
    storeTile(b, tile, results);
  });
}
