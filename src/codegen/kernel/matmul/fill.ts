/** @file The walk along k of a matmul through workgroup memory: tiles of all operands are filled, then multiplied. Their loads are waited for, or run a tile ahead. */

import { at } from '../../../errors.ts';
import type { KernelBuilder } from '../builder.ts';
import { add, builtin, component, div, f32, lt, min, mul, rem, select, splat, sub, u32, vec } from '../expr.ts';
import type { Expr } from '../ir.ts';
import { dividesBy } from '../size.ts';
import { clamped, type Tile, type TileLoop, type TileOperand } from './tile.ts';

/** The workgroup memory of one operand's tile. For each k it has a line of `wide` vec4s along the operand's own axis; the second buffer's lines follow the first's. */
export interface TileMemory {
  readonly wide: number;
  /** Emits the store of vec4 `i4` of a line. */
  put(line: Expr, i4: Expr, value: Expr): void;
}

export interface TileWalk {
  /** Invocations of a workgroup; all of them fill. */
  readonly invocations: number;
  /** See `FILLING` of ./fields.ts. */
  readonly ahead: boolean;
  readonly twoBuffers: boolean;
  /** By side, in the order of a loop's operands. */
  readonly memory: { readonly a: readonly TileMemory[]; readonly b: readonly TileMemory[] };
  /** Emits the products of a tile; its lines start at `first`. */
  multiply(loop: TileLoop, first: Expr): void;
}

/** Walks all loops along k. A tile is stored, the workgroup meets at a barrier, and the tile is multiplied; with one buffer it meets again. */
export function walkTiles(b: KernelBuilder, tile: Tile, walk: TileWalk): void {
  tile.loops.forEach((loop, index) => {
    walkLoop(b, tile, walk, loop);
    if (walk.twoBuffers && index + 1 < tile.loops.length) b.barrier();
  });
}

function walkLoop(b: KernelBuilder, tile: Tile, walk: TileWalk, loop: TileLoop): void {
  const { ahead, twoBuffers, multiply } = walk;
  const { depth } = tile.cut;
  const fills = fillsOf(b, tile, walk, loop);
  const load = (k0: Expr): void => fills.forEach((fill) => void fill.load(k0));
  if (ahead) {
    // A share of k may be empty, and a size that is known at run time may be zero.
    if (loop.to.kind === 'const') load(loop.from);
    else b.if(lt(loop.from, loop.to), () => load(loop.from));
  }
  b.for('k0', loop.from, loop.to, u32(depth), (k0) => {
    const first = twoBuffers ? b.let('first_line', rem(sub(k0, loop.from), u32(2 * depth))) : u32(0);
    for (const fill of fills) fill.store({ k0, first });
    b.barrier();
    if (ahead) load(nextTile(b, loop, k0, depth));
    multiply(loop, first);
    // Of two buffers, the one that is stored next was last read before the barrier above.
    if (!twoBuffers) b.barrier();
  });
}

/** What fills the tile of each operand of a loop. */
function fillsOf(b: KernelBuilder, tile: Tile, { ahead, memory, invocations }: TileWalk, loop: TileLoop): readonly Fill[] {
  const fill = ahead ? fillAhead : fillAtOnce;
  return (['a', 'b'] as const).flatMap((which) => loop[which].map((operand, i) => fill(b, { tile, loop, operand, memory: at(memory[which], i), invocations })));
}

/** Where the next tile starts. After the last one comes the last once more, unused, so that no branch stands between loads and products. */
function nextTile(b: KernelBuilder, loop: TileLoop, k0: Expr, depth: number): Expr {
  const next = add(k0, u32(depth));
  return b.let('next_k', dividesBy(loop.size, depth) ? min(next, sub(loop.k, u32(depth))) : next);
}

/** A tile: its first k, and the line where it starts in workgroup memory. */
interface TileStart {
  readonly k0: Expr;
  readonly first: Expr;
}

/** One operand's way from memory to workgroup memory. */
interface Fill {
  /** Emits the loads of the tile at k0 that are not waited for. */
  load(k0: Expr): void;
  /** Emits the stores of a tile. */
  store(start: TileStart): void;
}

interface Filling {
  readonly tile: Tile;
  readonly loop: TileLoop;
  readonly operand: TileOperand;
  readonly memory: TileMemory;
  readonly invocations: number;
}

/** Each task is loaded and stored at once. */
function fillAtOnce(b: KernelBuilder, filling: Filling): Fill {
  const tasks = tasksOf(filling);
  return {
    load: () => {},
    store: (start) =>
      b.for('task', builtin('localIndex'), u32(tasks), u32(filling.invocations), (task) => {
        const place = placeOf(b, filling, task);
        put(b, filling, place, start, loadTask(b, filling, place, start.k0));
      }),
  };
}

/** The tasks of an invocation, one by one: what they load stays in registers until it is stored. */
function fillAhead(b: KernelBuilder, filling: Filling): Fill {
  const { operand, invocations } = filling;
  const tasks = tasksOf(filling);
  const own = Array.from({ length: Math.ceil(tasks / invocations) }, (_, j) => {
    const task = add(builtin('localIndex'), u32(j * invocations));
    const place = placeOf(b, filling, task);
    const held = Array.from({ length: operand.mode === 'mn' ? 1 : 4 }, () => b.var('held', operand.mode === 'scalar' ? 'f32' : 'vec4f'));
    const guard = (body: () => void): void => ((j + 1) * invocations <= tasks ? body() : b.if(lt(task, u32(tasks)), body));
    return { place, held, guard };
  });
  return {
    load: (k0) => {
      for (const { place, held, guard } of own) guard(() => loadTask(b, filling, place, k0).forEach((value, i) => void at(held, i).set(value)));
    },
    store: (start) => {
      for (const { place, held, guard } of own) {
        const loaded = held.map(({ get }) => get);
        guard(() => put(b, filling, place, start, loaded));
      }
    },
  };
}

/** How many k a task brings: four of a 4 × 4 block that is loaded along k, or one. */
const perTask = ({ operand }: Filling): number => (operand.mode === 'k' ? 4 : 1);

const tasksOf = (filling: Filling): number => (filling.tile.cut.depth / perTask(filling)) * filling.memory.wide;

/** What a task brings: vec4 i4 of each line, from k on (counted from the tile's first). */
interface Place {
  readonly k: Expr;
  readonly i4: Expr;
}

/** Neighbouring invocations load neighbouring words. */
function placeOf(b: KernelBuilder, filling: Filling, task: Expr): Place {
  const { tile, operand, memory } = filling;
  const deep = tile.cut.depth / perTask(filling);
  const [k, i4] = operand.mode === 'mn' ? [div(task, u32(memory.wide)), rem(task, u32(memory.wide))] : [rem(task, u32(deep)), div(task, u32(deep))];
  return { k: b.let('fill_k', mul(k, u32(perTask(filling)))), i4: b.let('fill_i', i4) };
}

/** Emits the loads of a task: of one vec4 along the own axis, of four elements along it, or (mode k) of four vec4s along k. */
function loadTask(b: KernelBuilder, { tile, loop, operand: { which, port, mode } }: Filling, place: Place, k0: Expr): Expr[] {
  const { cut, spec, size, batch } = tile;
  const k = b.let('k', add(k0, place.k));
  const kIn = dividesBy(loop.size, cut.depth) ? k : b.let('k_in', clamped(k, false, loop.k, mode === 'k' ? 4 : 1));
  const [start, limit, own, per] =
    which === 'a' ? ([tile.tileM, size.m, spec.m, cut.rows * cut.lanes[1]] as const) : ([tile.tileN, size.n, spec.n, cut.cols * cut.lanes[0]] as const);
  const exact = dividesBy(own, per);
  const first = b.let('first', add(start, mul(place.i4, u32(4))));
  if (mode === 'mn') return [port.load({ batch, mn: b.let('at', clamped(first, exact, limit, 4)), k: kIn }, 4)];
  return [0, 1, 2, 3].map((j) => {
    const mn = b.let('at', clamped(add(first, u32(j)), exact, limit, 1));
    return b.let('value', port.load({ batch, mn, k: kIn }, mode === 'k' ? 4 : 1));
  });
}

/** Stores what a task loaded, k by k, and zeros beyond the end of k. They are put here and not at the load, which nothing should wait for. */
function put(b: KernelBuilder, { tile, loop, operand, memory }: Filling, place: Place, start: TileStart, loaded: readonly Expr[]): void {
  const masked = (value: Expr): Expr =>
    dividesBy(loop.size, tile.cut.depth) ? value : select(splat('vec4f', f32(0)), value, lt(add(start.k0, place.k), loop.k));
  const values = alongOwn(operand, loaded).map((value) => b.let('filled', masked(value)));
  values.forEach((value, j) => void memory.put(add(add(place.k, u32(j)), start.first), place.i4, value));
}

/** vec4s along the own axis for one k, or (mode k) for four: the block transposed. */
function alongOwn({ mode }: TileOperand, loaded: readonly Expr[]): readonly Expr[] {
  if (mode === 'mn') return loaded;
  if (mode === 'scalar') return [vec('vec4f', loaded)];
  return [0, 1, 2, 3].map((j) =>
    vec(
      'vec4f',
      loaded.map((value) => component(value, j)),
    ),
  );
}
