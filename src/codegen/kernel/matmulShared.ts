/** @file Matmul through workgroup memory: tiles of both operands are laid out there as vec4 along m and along n. */

import { invariant } from '../../errors.ts';
import type { ArrayRef, KernelBuilder } from './builder.ts';
import { add, builtin, component, div, f32, lt, mul, rem, select, splat, u32, vec } from './expr.ts';
import type { Expr } from './ir.ts';
import { accumulators, clamped, type LoadMode, storeTile, type Tile } from './matmulTile.ts';
import { dividesBy } from './size.ts';

/** The whole body of a shared matmul. */
export function sharedBody(b: KernelBuilder, tile: Tile): void {
  const { schedule, size } = tile;
  const { rows, cols, lanes, depth } = schedule;
  invariant(rows % 4 === 0 && cols % 4 === 0 && depth % 4 === 0, 'a shared matmul needs multiples of 4');
  const wideM = (lanes[1] * rows) / 4;
  const wideN = (lanes[0] * cols) / 4;
  // one more than needed: lanes that write different k would hit the same banks
  const tileA = b.shared('tile_a', 'vec4f', depth * (wideM + 1));
  const tileB = b.shared('tile_b', 'vec4f', depth * (wideN + 1));
  const sums = accumulators(b, rows, cols, true);
  b.for('k0', u32(0), size.k, u32(depth), (k0) => {
    fill(b, tile, 'a', tileA, wideM, k0);
    fill(b, tile, 'b', tileB, wideN, k0);
    b.barrier();
    b.for('kk', u32(0), u32(depth), u32(1), (kk) => {
      const rowStart = b.let('row_a', add(mul(kk, u32(wideM + 1)), tile.lane.m));
      const rowStartB = b.let('row_b', add(mul(kk, u32(wideN + 1)), tile.lane.n));
      const av = groups(rows).map((g) => b.let('a', tileA.at(add(rowStart, u32(g * lanes[1])))));
      const bv = groups(cols).map((g) => b.let('b', tileB.at(add(rowStartB, u32(g * lanes[0])))));
      av.forEach((a4, g) => {
        for (let j = 0; j < 4; j++) {
          bv.forEach((b4, h) => {
            sums.add(g * 4 + j, h * 4, mul(splat('vec4f', component(a4, j)), b4));
          });
        }
      });
    });
    b.barrier();
  });
  storeTile(b, tile, sums);
}

const groups = (count: number): number[] => Array.from({ length: count / 4 }, (_, g) => g);

/** Copies the tile at k0 of one operand to workgroup memory: element [kk, i / 4] is a vec4 along the operand's own axis. */
function fill(b: KernelBuilder, tile: Tile, which: 'a' | 'b', to: ArrayRef, wide: number, k0: Expr): void {
  const { schedule, spec, size } = tile;
  const mode = which === 'a' ? tile.modeA : tile.modeB;
  const lanes = schedule.lanes[0] * schedule.lanes[1];
  const perTask = mode === 'k' ? 4 : 1;
  const deep = schedule.depth / perTask;
  const tasks = deep * wide;
  b.for('task', builtin('localIndex'), u32(tasks), u32(lanes), (task) => {
    const [kTask, iTask] = mode === 'mn' ? [div(task, u32(wide)), rem(task, u32(wide))] : [rem(task, u32(deep)), div(task, u32(deep))];
    const kk = b.let('fill_k', mul(kTask, u32(perTask)));
    const i4 = b.let('fill_i', iTask);
    const k = b.let('k', add(k0, kk));
    const exactK = dividesBy(spec.k, schedule.depth);
    const kIn = exactK ? k : b.let('k_in', clamped(k, false, size.k, mode === 'k' ? 4 : 1));
    const masked = (value: Expr): Expr => (exactK ? value : select(value.type === 'f32' ? f32(0) : splat('vec4f', f32(0)), value, lt(k, size.k)));
    const values = fourByDepth(b, tile, which, mode, i4, kIn).map((value) => b.let('filled', masked(value)));
    values.forEach((value, j) => {
      to.setAt(add(mul(add(kk, u32(j)), u32(wide + 1)), i4), value);
    });
  });
}

/** vec4s along the own axis for one k, or (mode k) for four k: a 4 × 4 block is loaded along k and transposed. */
function fourByDepth(b: KernelBuilder, tile: Tile, which: 'a' | 'b', mode: LoadMode, i4: Expr, k: Expr): Expr[] {
  const { schedule, spec, size, batch } = tile;
  const port = which === 'a' ? tile.a : tile.b;
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
