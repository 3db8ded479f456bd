/** @file Matmul through workgroup memory: tiles of both operands are laid out there as vec4 along m and along n. */

import { invariant } from '../../../../errors.ts';
import type { ArrayRef, KernelBuilder } from '../../builder.ts';
import { add, component, mul, splat, u32 } from '../../expr.ts';
import type { Expr } from '../../ir.ts';
import { type TileMemory, walkTiles } from '../fill.ts';
import { allAccumulators, type LaneTile, storeTile } from '../tile.ts';

/** The whole body of a shared matmul. */
export function sharedBody(b: KernelBuilder, tile: LaneTile): void {
  const { schedule, loops, lane } = tile;
  const { rows, cols, lanes, depth, buffers } = schedule;
  invariant(rows % 4 === 0 && cols % 4 === 0 && depth % 4 === 0, 'a shared matmul needs multiples of 4');
  const wide = { a: (lanes[1] * rows) / 4, b: (lanes[0] * cols) / 4 };
  // one more than needed: lanes that write different k would hit the same banks
  const tiles = (which: 'a' | 'b'): ArrayRef[] =>
    Array.from({ length: Math.max(...loops.map((loop) => loop[which].length)) }, () => b.shared(`tile_${which}`, 'vec4f', buffers * depth * (wide[which] + 1)));
  const arrays = { a: tiles('a'), b: tiles('b') };
  const memory = (which: 'a' | 'b'): TileMemory[] =>
    arrays[which].map((to) => ({ wide: wide[which], put: (line, i4, value) => to.setAt(add(mul(line, u32(wide[which] + 1)), i4), value) }));
  const results = allAccumulators(b, tile, true);
  walkTiles(b, tile, {
    invocations: lanes[0] * lanes[1],
    memory: { a: memory('a'), b: memory('b') },
    multiply: (loop, first) => {
      const start = (which: 'a' | 'b', own: Expr): Expr => (first.kind === 'const' ? own : b.let(`start_${which}`, add(mul(first, u32(wide[which] + 1)), own)));
      const [startA, startB] = [start('a', lane.m), start('b', lane.n)];
      b.for('kk', u32(0), u32(depth), u32(1), (kk) => {
        const rowA = b.let('row_a', add(mul(kk, u32(wide.a + 1)), startA));
        const rowB = b.let('row_b', add(mul(kk, u32(wide.b + 1)), startB));
        const read = (from: ArrayRef, name: string, row: Expr, count: number, across: number): Expr[] =>
          groups(count).map((g) => b.let(name, from.at(add(row, u32(g * across)))));
        const av = new Map(loop.a.map((operand, i) => [operand, read(arrays.a[i] as ArrayRef, 'a', rowA, rows, lanes[1])]));
        const bv = new Map(loop.b.map((operand, i) => [operand, read(arrays.b[i] as ArrayRef, 'b', rowB, cols, lanes[0])]));
        for (const p of loop.products)
          (av.get(p.a) ?? []).forEach((a4, g) => {
            for (let j = 0; j < 4; j++)
              (bv.get(p.b) ?? []).forEach((b4, h) => void results[p.into]?.add(g * 4 + j, h * 4, mul(splat('vec4f', component(a4, j)), b4)));
          });
      });
    },
  });
  storeTile(b, tile, results);
}

const groups = (count: number): number[] => Array.from({ length: count / 4 }, (_, g) => g);
