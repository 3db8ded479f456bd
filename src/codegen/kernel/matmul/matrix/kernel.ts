/** @file Matmul by subgroup matrices: tiles of both operands in workgroup memory, fragments of them multiplied, results back through workgroup memory. */

import { invariant } from '../../../../errors.ts';
import type { ArrayRef, FragmentRef, KernelBuilder } from '../../builder.ts';
import { add, builtin, component, convert, div, lt, mul, rem, u32, vec } from '../../expr.ts';
import type { Expr, FragmentType } from '../../ir.ts';
import { dividesBy } from '../../size.ts';
import { type TileMemory, walkTiles } from '../fill.ts';
import type { MatmulSchedule } from '../schedule.ts';
import type { Tile, TileOperand } from '../tile.ts';
import { matrixOf, matrixPadding } from './schedule.ts';

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Fragments of each result, [results][along m][along n]. */
type Sums = readonly (readonly (readonly FragmentRef[])[])[];

/** The whole body of a matrix matmul. */
export function matrixBody(b: KernelBuilder, tile: Tile): void {
  const { schedule, loops, spec } = tile;
  const { lanes, rows, cols, depth, buffers } = schedule;
  const shape = matrixOf(schedule);
  invariant(rows % shape.m === 0 && cols % shape.n === 0 && depth % shape.k === 0, 'a matrix matmul is cut in whole fragments');
  const sides = { a: sideOf(schedule, 'a'), b: sideOf(schedule, 'b') };
  const tiles = (which: 'a' | 'b'): ArrayRef[] =>
    range(Math.max(...loops.map((loop) => loop[which].length))).map(() => b.shared(`tile_${which}`, shape.input, buffers * depth * sides[which].stride));
  const arrays = { a: tiles('a'), b: tiles('b') };
  const memory = (which: 'a' | 'b'): TileMemory[] => arrays[which].map((to) => tileMemory(b, to, sides[which]));
  const result: FragmentType = { role: 'result', scalar: 'f32', rows: shape.m, cols: shape.n };
  const sums: Sums = range(spec.results).map(() => range(rows / shape.m).map((i) => range(cols / shape.n).map((j) => b.fragment(`sum_${i}_${j}`, result))));
  walkTiles(b, tile, {
    invocations: lanes[0] * lanes[1] * shape.lanes,
    memory: { a: memory('a'), b: memory('b') },
    multiply: (loop, first) =>
      b.for('kk', u32(0), u32(depth), u32(shape.k), (kk) => {
        const loaded = (which: 'a' | 'b'): Map<TileOperand, FragmentRef[]> => {
          const { type, stride, count, own, by } = sides[which];
          const line = mul(add(kk, first), u32(stride));
          const start = b.let(`at_${which}`, add(line, mul(which === 'a' ? tile.lane.m : tile.lane.n, u32(own))));
          const fragments = (from: ArrayRef): FragmentRef[] =>
            range(count).map((i) => b.loadFragment(which, type, from, add(start, u32(i * (own / count))), stride, by));
          return new Map(loop[which].map((operand, i) => [operand, fragments(arrays[which][i] as ArrayRef)]));
        };
        const [left, right] = [loaded('a'), loaded('b')];
        for (const p of loop.products)
          sums[p.into]?.forEach((line, i) =>
            line.forEach((sum, j) => void b.multiplyFragments(sum, left.get(p.a)?.[i] as FragmentRef, right.get(p.b)?.[j] as FragmentRef)),
          );
      }),
  });
  storeFragments(b, tile, sums);
}

/** An operand's tile in workgroup memory: k by k, each a line along its own axis, padded so that every line starts at 16 bytes. */
interface Side {
  /** Elements along the own axis: of the workgroup's tile, of a subgroup's. */
  readonly wide: number;
  readonly own: number;
  readonly stride: number;
  /** Fragments of a subgroup, and how one lies in memory. */
  readonly count: number;
  readonly type: FragmentType;
  readonly by: 'rows' | 'cols';
}

function sideOf(schedule: MatmulSchedule, which: 'a' | 'b'): Side {
  const { rows, cols, lanes } = schedule;
  const shape = matrixOf(schedule);
  const scalar = shape.input;
  const [own, across, each] = which === 'a' ? [rows, lanes[1], shape.m] : [cols, lanes[0], shape.n];
  const wide = own * across;
  const type: FragmentType = which === 'a' ? { role: 'left', scalar, rows: shape.m, cols: shape.k } : { role: 'right', scalar, rows: shape.k, cols: shape.n };
  return { wide, own, stride: wide + matrixPadding(scalar), count: own / each, type, by: which === 'a' ? 'cols' : 'rows' };
}

/** An operand's tile in workgroup memory, filled with what matrices take. */
function tileMemory(b: KernelBuilder, to: ArrayRef, { wide, stride, type }: Side): TileMemory {
  return {
    wide: wide / 4,
    put: (line, i4, value) => {
      const at = b.let('to', add(mul(line, u32(stride)), mul(i4, u32(4))));
      for (const j of range(4)) to.setAt(add(at, u32(j)), convert(type.scalar, component(value, j)));
    },
  };
}

/** Fragment by fragment, the same one of every subgroup at once: to workgroup memory, and from there through the store. */
function storeFragments(b: KernelBuilder, tile: Tile, sums: Sums): void {
  const { schedule, spec, size, batch, lane } = tile;
  const out = spec.store;
  const { lanes, rows, cols } = schedule;
  const { m: high, n: wide, lanes: width } = matrixOf(schedule);
  const plane = high * wide;
  const step = out.vectorAxis === 'n' && dividesBy(spec.n, 4) ? 4 : 1;
  const memory = b.shared('fragments', 'f32', lanes[0] * lanes[1] * spec.results * plane);
  const own = b.let('own', mul(add(mul(lane.m, u32(lanes[0])), lane.n), u32(spec.results * plane)));
  const inLane = b.let('in_subgroup', rem(builtin('localIndex'), u32(width)));
  const [firstM, firstN] = [b.let('first_m', add(tile.tileM, mul(lane.m, u32(rows)))), b.let('first_n', add(tile.tileN, mul(lane.n, u32(cols))))];
  const exact = dividesBy(spec.m, lanes[1] * rows) && dividesBy(spec.n, lanes[0] * cols);
  for (const i of range(rows / high))
    for (const j of range(cols / wide)) {
      sums.forEach((sum, r) => void b.storeFragment(memory, add(own, u32(r * plane)), wide, sum[i]?.[j] as FragmentRef));
      b.barrier();
      b.for('unit', inLane, u32(plane / step), u32(width), (unit) => {
        const at = b.let('at', mul(unit, u32(step)));
        const m = b.let('m', add(add(firstM, u32(i * high)), div(at, u32(wide))));
        const n = b.let('n', add(add(firstN, u32(j * wide)), rem(at, u32(wide))));
        const element = (r: number, k: number): Expr => memory.at(add(add(own, at), u32(r * plane + k)));
        const value = (r: number): Expr =>
          step === 1
            ? element(r, 0)
            : vec(
                'vec4f',
                range(4).map((k) => element(r, k)),
              );
        const store = (): void =>
          out.store(
            { batch, m, n },
            sums.map((_, r) => b.let('value', value(r))),
            step,
          );
        if (exact) store();
        else b.if(lt(m, size.m), () => b.if(lt(n, size.n), store));
      });
      b.barrier();
    }
}
