/** @file Matmul through workgroup memory: tiles of both operands are laid out there as vec4 along m and along n. */

import { invariant } from '../../errors.ts';
import type { ArrayRef, KernelBuilder } from './builder.ts';
import { add, builtin, component, div, f32, lt, mul, rem, select, splat, u32, vec } from './expr.ts';
import type { Expr } from './ir.ts';
import { allAccumulators, clamped, type LaneTile, storeTile, type Tile, type TileLoop, type TileOperand } from './matmulTile.ts';
import { dividesBy } from './size.ts';

/** The whole body of a shared matmul. */
export function sharedBody(b: KernelBuilder, tile: LaneTile): void {
  const { schedule, loops } = tile;
  const { rows, cols, lanes, depth } = schedule;
  invariant(rows % 4 === 0 && cols % 4 === 0 && depth % 4 === 0, 'a shared matmul needs multiples of 4');
  const wideM = (lanes[1] * rows) / 4;
  const wideN = (lanes[0] * cols) / 4;
  // one more than needed: lanes that write different k would hit the same banks
  const tiles = (name: string, wide: number, which: 'a' | 'b'): ArrayRef[] =>
    Array.from({ length: Math.max(...loops.map((loop) => loop[which].length)) }, () => b.shared(name, 'vec4f', depth * (wide + 1)));
  const tilesA = tiles('tile_a', wideM, 'a');
  const tilesB = tiles('tile_b', wideN, 'b');
  const results = allAccumulators(b, tile, true);
  const fillTile = (loop: TileLoop, operand: TileOperand, to: ArrayRef, wide: number, k0: Expr): void =>
    fill(b, tile, loop, operand, { wide, invocations: lanes[0] * lanes[1], k0 }, (k, i4, value) => to.setAt(add(mul(k, u32(wide + 1)), i4), value));
  for (const loop of loops) {
    b.for('k0', loop.from, loop.to, u32(depth), (k0) => {
      loop.a.forEach((operand, i) => void fillTile(loop, operand, tilesA[i] as ArrayRef, wideM, k0));
      loop.b.forEach((operand, i) => void fillTile(loop, operand, tilesB[i] as ArrayRef, wideN, k0));
      b.barrier();
      b.for('kk', u32(0), u32(depth), u32(1), (kk) => {
        const rowA = b.let('row_a', add(mul(kk, u32(wideM + 1)), tile.lane.m));
        const rowB = b.let('row_b', add(mul(kk, u32(wideN + 1)), tile.lane.n));
        const read = (from: ArrayRef, name: string, row: Expr, count: number, across: number): Expr[] =>
          groups(count).map((g) => b.let(name, from.at(add(row, u32(g * across)))));
        const av = new Map(loop.a.map((operand, i) => [operand, read(tilesA[i] as ArrayRef, 'a', rowA, rows, lanes[1])]));
        const bv = new Map(loop.b.map((operand, i) => [operand, read(tilesB[i] as ArrayRef, 'b', rowB, cols, lanes[0])]));
        for (const p of loop.products)
          (av.get(p.a) ?? []).forEach((a4, g) => {
            for (let j = 0; j < 4; j++)
              (bv.get(p.b) ?? []).forEach((b4, h) => void results[p.into]?.add(g * 4 + j, h * 4, mul(splat('vec4f', component(a4, j)), b4)));
          });
      });
      b.barrier();
    });
  }
  storeTile(b, tile, results);
}

const groups = (count: number): number[] => Array.from({ length: count / 4 }, (_, g) => g);

/** How a tile is filled: `wide` vec4s along the operand's own axis for each k from k0, by all invocations of the workgroup. */
export interface Filling {
  readonly wide: number;
  readonly invocations: number;
  readonly k0: Expr;
}

/** Reads the tile of one operand: `put` stores the vec4 along the operand's own axis that belongs to (k − k0, i / 4); zeros beyond k. */
export function fill(
  b: KernelBuilder,
  tile: Tile,
  loop: TileLoop,
  operand: TileOperand,
  { wide, invocations, k0 }: Filling,
  put: (k: Expr, i4: Expr, value: Expr) => void,
): void {
  const { schedule } = tile;
  const { mode } = operand;
  const perTask = mode === 'k' ? 4 : 1;
  const deep = schedule.depth / perTask;
  const tasks = deep * wide;
  b.for('task', builtin('localIndex'), u32(tasks), u32(invocations), (task) => {
    const [kTask, iTask] = mode === 'mn' ? [div(task, u32(wide)), rem(task, u32(wide))] : [rem(task, u32(deep)), div(task, u32(deep))];
    const kk = b.let('fill_k', mul(kTask, u32(perTask)));
    const i4 = b.let('fill_i', iTask);
    const k = b.let('k', add(k0, kk));
    const exactK = dividesBy(loop.size, schedule.depth);
    const kIn = exactK ? k : b.let('k_in', clamped(k, false, loop.k, mode === 'k' ? 4 : 1));
    const masked = (value: Expr): Expr => (exactK ? value : select(value.type === 'f32' ? f32(0) : splat('vec4f', f32(0)), value, lt(k, loop.k)));
    const values = fourByDepth(b, tile, operand, i4, kIn).map((value) => b.let('filled', masked(value)));
    values.forEach((value, j) => void put(add(kk, u32(j)), i4, value));
  });
}

/** vec4s along the own axis for one k, or (mode k) for four k: a 4 × 4 block is loaded along k and transposed. */
function fourByDepth(b: KernelBuilder, tile: Tile, { which, port, mode }: TileOperand, i4: Expr, k: Expr): Expr[] {
  const { schedule, spec, size, batch } = tile;
  const [start, limit, own, per] =
    which === 'a'
      ? ([tile.tileM, size.m, spec.m, schedule.rows * schedule.lanes[1]] as const)
      : ([tile.tileN, size.n, spec.n, schedule.cols * schedule.lanes[0]] as const);
  const exact = dividesBy(own, per);
  const first = b.let('first', add(start, mul(i4, u32(4))));
  if (mode === 'mn') {
    return [port.load(b, { batch, mn: b.let('at', clamped(first, exact, limit, 4)), k }, 4)];
  }
  const four = [0, 1, 2, 3].map((j) => {
    const mn = b.let('at', clamped(add(first, u32(j)), exact, limit, 1));
    return b.let('value', port.load(b, { batch, mn, k }, mode === 'k' ? 4 : 1));
  });
  if (mode === 'scalar') return [vec('vec4f', four)];
  return [0, 1, 2, 3].map((j) =>
    vec(
      'vec4f',
      four.map((value) => component(value, j)),
    ),
  );
}
