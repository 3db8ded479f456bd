/** @file Matmul through workgroup memory: tiles of both operands are laid out there as vec4 along m and along n. */

import { at, invariant } from '../../../../errors.ts';
import type { ArrayRef, KernelBuilder } from '../../builder.ts';
import { add, builtin, component, mul, splat, u32 } from '../../expr.ts';
import type { Expr } from '../../ir.ts';
import { type Accumulators, allAccumulators, storeTile } from '../accumulators.ts';
import { type TileMemory, walkTiles } from '../fill.ts';
import type { MatmulSpec } from '../spec.ts';
import { type ByOperand, heldOf, type LanePlace, type LaneTile, laneTile, type TileLoop, type TileOperand, tileContext } from '../tile.ts';
import { lineOf, SHARED_KIND, type SharedSchedule } from './schedule.ts';

/** The whole body of a shared matmul. */
export function sharedBody(b: KernelBuilder, spec: MatmulSpec, schedule: SharedSchedule): void {
  const { rows, cols, lanes, depth, ahead, twoBuffers } = schedule;
  invariant(rows % 4 === 0 && cols % 4 === 0 && depth % 4 === 0, 'a shared matmul needs multiples of 4');
  const tile = laneTile(
    b,
    tileContext(b, spec, SHARED_KIND.cut(schedule), () => placeOf(schedule)),
  );
  const sides = { a: sideOf(b, tile, schedule, 'a'), b: sideOf(b, tile, schedule, 'b') };
  const results = allAccumulators(b, tile, true);
  walkTiles(b, tile, {
    invocations: lanes[0] * lanes[1],
    ahead,
    twoBuffers,
    memory: { a: sides.a.arrays.map((to) => memoryOf(to, sides.a)), b: sides.b.arrays.map((to) => memoryOf(to, sides.b)) },
    multiply: (loop, first) => multiply(b, loop, first, { sides, depth, results }),
  });
  storeTile(b, tile, results);
}

function placeOf({ lanes }: SharedSchedule): LanePlace {
  return { n: lanes[0] === 1 ? u32(0) : builtin('localX'), m: lanes[1] === 1 ? u32(0) : builtin('localY'), k: u32(0) };
}

/** One side of the tiles in workgroup memory. */
interface Side {
  readonly which: 'a' | 'b';
  /** One for each operand that a loop reads on this side. */
  readonly arrays: readonly ArrayRef[];
  /** vec4s of a line, as they are spaced. */
  readonly line: number;
  /** Elements that a lane computes along this side, how many lanes there are, and which this one is. */
  readonly per: number;
  readonly lanes: number;
  readonly lane: Expr;
}

function sideOf(b: KernelBuilder, tile: LaneTile, schedule: SharedSchedule, which: 'a' | 'b'): Side {
  const { lanes, rows, cols, depth, twoBuffers } = schedule;
  const [per, across, lane] = which === 'a' ? [rows, lanes[1], tile.lane.m] : [cols, lanes[0], tile.lane.n];
  const line = lineOf(per * across);
  const count = Math.max(...tile.loops.map((loop) => loop[which].length));
  const arrays = Array.from({ length: count }, () => b.shared(`tile_${which}`, 'vec4f', (twoBuffers ? 2 : 1) * depth * line));
  return { which, arrays, line, per, lanes: across, lane };
}

function memoryOf(to: ArrayRef, { line, per, lanes }: Side): TileMemory {
  return { wide: (per * lanes) / 4, put: (row, i4, value) => to.setAt(add(mul(row, u32(line)), i4), value) };
}

interface Multiplying {
  readonly sides: { readonly a: Side; readonly b: Side };
  readonly depth: number;
  readonly results: readonly Accumulators[];
}

/** Adds the products of a tile whose lines start at `first`. */
function multiply(b: KernelBuilder, loop: TileLoop, first: Expr, { sides, depth, results }: Multiplying): void {
  const start = ({ which, line, lane }: Side): Expr => (first.kind === 'const' ? lane : b.let(`start_${which}`, add(mul(first, u32(line)), lane)));
  const [startA, startB] = [start(sides.a), start(sides.b)];
  b.for('kk', u32(0), u32(depth), u32(1), (kk) => {
    const row = ({ which, line }: Side, from: Expr): Expr => b.let(`row_${which}`, add(mul(kk, u32(line)), from));
    const [rowA, rowB] = [row(sides.a, startA), row(sides.b, startB)];
    const left = readAll(b, sides.a, loop.a, rowA);
    const right = readAll(b, sides.b, loop.b, rowB);
    for (const { a, b: other, into } of loop.products)
      heldOf(left, a).forEach((a4, g) => {
        for (let j = 0; j < 4; j++)
          heldOf(right, other).forEach((b4, h) => void at(results, into).add(g * 4 + j, h * 4, mul(splat('vec4f', component(a4, j)), b4)));
      });
  });
}

/** What a lane needs of a line of each operand, as vec4s. */
function readAll(b: KernelBuilder, { which, arrays, per, lanes }: Side, operands: readonly TileOperand[], row: Expr): ByOperand<readonly Expr[]> {
  const read = (from: ArrayRef): Expr[] => Array.from({ length: per / 4 }, (_, g) => b.let(which, from.at(add(row, u32(g * lanes)))));
  return new Map(operands.map((operand, i) => [operand, read(at(arrays, i))]));
}
