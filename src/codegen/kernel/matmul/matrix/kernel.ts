/** @file Matmul by subgroup matrices. Tiles of both operands lie in workgroup memory, of which subgroups multiply fragments; results go back through it. */

import { at, invariant } from '../../../../errors.ts';
import type { ArrayRef, FragmentRef, KernelBuilder } from '../../builder.ts';
import { add, builtin, component, convert, div, lt, mul, rem, u32, vec } from '../../expr.ts';
import type { Expr, FragmentType } from '../../ir.ts';
import { dividesBy } from '../../size.ts';
import { type TileMemory, walkTiles } from '../fill.ts';
import type { MatmulSpec } from '../spec.ts';
import { type ByOperand, heldOf, type LanePlace, type Tile, type TileLoop, type TileOperand, tileContext } from '../tile.ts';
import { MATRIX_KIND, type MatrixSchedule, matrixPadding } from './schedule.ts';

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Fragments of each result, [results][along m][along n]. */
type Sums = readonly (readonly (readonly FragmentRef[])[])[];

/** The whole body of a matrix matmul. */
export function matrixBody(b: KernelBuilder, spec: MatmulSpec, schedule: MatrixSchedule): void {
  const { subgroups, rows, cols, depth, matrix, ahead, twoBuffers } = schedule;
  invariant(rows % matrix.m === 0 && cols % matrix.n === 0 && depth % matrix.k === 0, 'a matrix matmul is cut in whole fragments');
  const tile = tileContext(b, spec, MATRIX_KIND.cut(schedule), () => placeOf(b, schedule));
  const sides = { a: sideOf(b, tile, schedule, 'a'), b: sideOf(b, tile, schedule, 'b') };
  const sums = declareSums(b, spec, schedule);
  walkTiles(b, tile, {
    invocations: subgroups[0] * subgroups[1] * matrix.lanes,
    ahead,
    twoBuffers,
    memory: { a: sides.a.arrays.map((to) => memoryOf(b, to, sides.a)), b: sides.b.arrays.map((to) => memoryOf(b, to, sides.b)) },
    multiply: (loop, first) => b.for('kk', u32(0), u32(depth), u32(matrix.k), (kk) => multiply(b, loop, add(kk, first), sides, sums)),
  });
  storeFragments(b, tile, schedule, sums);
}

/** Declares which of the workgroup's subgroups this is. */
function placeOf(b: KernelBuilder, { subgroups, matrix }: MatrixSchedule): LanePlace {
  const subgroup = b.let('subgroup', div(builtin('localIndex'), u32(matrix.lanes)));
  return { n: b.let('subgroup_n', rem(subgroup, u32(subgroups[0]))), m: b.let('subgroup_m', div(subgroup, u32(subgroups[0]))), k: u32(0) };
}

function declareSums(b: KernelBuilder, { results }: MatmulSpec, { rows, cols, matrix: { m, n } }: MatrixSchedule): Sums {
  const type: FragmentType = { role: 'result', scalar: 'f32', rows: m, cols: n };
  return range(results).map(() => range(rows / m).map((i) => range(cols / n).map((j) => b.fragment(`sum_${i}_${j}`, type))));
}

/** One side of the tiles in workgroup memory. For each k there is a line along the operand's own axis, padded so that every line starts at a multiple of 16 bytes. */
interface Side {
  readonly which: 'a' | 'b';
  /** One for each operand that a loop reads on this side. */
  readonly arrays: readonly ArrayRef[];
  /** Elements along the own axis, of the workgroup's tile and of a subgroup's. */
  readonly wide: number;
  readonly own: number;
  /** Elements from line to line. */
  readonly stride: number;
  /** Which subgroup this is along the own axis. */
  readonly subgroup: Expr;
  /** Fragments of a subgroup, and how one lies in memory. */
  readonly count: number;
  readonly type: FragmentType;
  readonly by: 'rows' | 'cols';
}

function sideOf(b: KernelBuilder, { loops, lane }: Tile, schedule: MatrixSchedule, which: 'a' | 'b'): Side {
  const { rows, cols, subgroups, depth, twoBuffers } = schedule;
  const { m, n, k, input } = schedule.matrix;
  const [own, across, each, subgroup] = which === 'a' ? [rows, subgroups[1], m, lane.m] : [cols, subgroups[0], n, lane.n];
  const wide = own * across;
  const stride = wide + matrixPadding(input);
  const type: FragmentType = which === 'a' ? { role: 'left', scalar: input, rows: m, cols: k } : { role: 'right', scalar: input, rows: k, cols: n };
  const count = Math.max(...loops.map((loop) => loop[which].length));
  const arrays = range(count).map(() => b.shared(`tile_${which}`, input, (twoBuffers ? 2 : 1) * depth * stride));
  return { which, arrays, wide, own, stride, subgroup, count: own / each, type, by: which === 'a' ? 'cols' : 'rows' };
}

/** An operand's tile in workgroup memory, filled with what matrices take. */
function memoryOf(b: KernelBuilder, to: ArrayRef, { wide, stride, type }: Side): TileMemory {
  return {
    wide: wide / 4,
    put: (line, i4, value) => {
      const start = b.let('to', add(mul(line, u32(stride)), mul(i4, u32(4))));
      for (const j of range(4)) to.setAt(add(start, u32(j)), convert(type.scalar, component(value, j)));
    },
  };
}

/** Adds the products of the fragments whose first k lies in `line`. */
function multiply(b: KernelBuilder, loop: TileLoop, line: Expr, sides: { readonly a: Side; readonly b: Side }, sums: Sums): void {
  const [left, right] = [loadFragments(b, loop.a, sides.a, line), loadFragments(b, loop.b, sides.b, line)];
  for (const { a, b: other, into } of loop.products)
    at(sums, into).forEach((row, i) => row.forEach((sum, j) => void b.multiplyFragments(sum, at(heldOf(left, a), i), at(heldOf(right, other), j))));
}

function loadFragments(b: KernelBuilder, operands: readonly TileOperand[], side: Side, line: Expr): ByOperand<readonly FragmentRef[]> {
  const { which, arrays, stride, subgroup, own, count, type, by } = side;
  const start = b.let(`at_${which}`, add(mul(line, u32(stride)), mul(subgroup, u32(own))));
  const fragments = (from: ArrayRef): FragmentRef[] =>
    range(count).map((i) => b.loadFragment(which, type, from, add(start, u32(i * (own / count))), stride, by));
  return new Map(operands.map((operand, i) => [operand, fragments(at(arrays, i))]));
}

/** Takes fragment after fragment, the same one of every subgroup at once, to workgroup memory, and from there through the store. */
function storeFragments(b: KernelBuilder, tile: Tile, schedule: MatrixSchedule, sums: Sums): void {
  const { spec, lane } = tile;
  const { subgroups, rows, cols, matrix } = schedule;
  const plane = matrix.m * matrix.n;
  const memory = b.shared('fragments', 'f32', subgroups[0] * subgroups[1] * spec.results * plane);
  const own = b.let('own', mul(add(mul(lane.m, u32(subgroups[0])), lane.n), u32(spec.results * plane)));
  const inLane = b.let('in_subgroup', rem(builtin('localIndex'), u32(matrix.lanes)));
  const first = {
    m: b.let('first_m', add(tile.tileM, mul(lane.m, u32(rows)))),
    n: b.let('first_n', add(tile.tileN, mul(lane.n, u32(cols)))),
  };
  for (const i of range(rows / matrix.m))
    for (const j of range(cols / matrix.n)) {
      sums.forEach((sum, r) => void b.storeFragment(memory, add(own, u32(r * plane)), matrix.n, at(at(sum, i), j)));
      b.barrier();
      storePlane(b, tile, schedule, { memory, own, inLane, m: add(first.m, u32(i * matrix.m)), n: add(first.n, u32(j * matrix.n)) });
      b.barrier();
    }
}

/** A fragment of every result in workgroup memory. */
interface Plane {
  readonly memory: ArrayRef;
  /** Where those of this subgroup start. */
  readonly own: Expr;
  /** Which lane of the subgroup this is. */
  readonly inLane: Expr;
  /** Its first row and column. */
  readonly m: Expr;
  readonly n: Expr;
}

/** Stores a fragment of every result; a subgroup's lanes share its elements. */
function storePlane(b: KernelBuilder, tile: Tile, { subgroups, rows, cols, matrix }: MatrixSchedule, plane: Plane): void {
  const { spec, size, batch } = tile;
  const { memory, own } = plane;
  const elements = matrix.m * matrix.n;
  const step = spec.store.vectorAxis === 'n' && dividesBy(spec.n, 4) ? 4 : 1;
  const exact = dividesBy(spec.m, subgroups[1] * rows) && dividesBy(spec.n, subgroups[0] * cols);
  b.for('unit', plane.inLane, u32(elements / step), u32(matrix.lanes), (unit) => {
    const from = b.let('at', mul(unit, u32(step)));
    const m = b.let('m', add(plane.m, div(from, u32(matrix.n))));
    const n = b.let('n', add(plane.n, rem(from, u32(matrix.n))));
    const element = (r: number, k: number): Expr => memory.at(add(add(own, from), u32(r * elements + k)));
    const four = (r: number): Expr[] => range(4).map((k) => element(r, k));
    const store = (): void => {
      const values = range(spec.results).map((r) => b.let('value', step === 1 ? element(r, 0) : vec('vec4f', four(r))));
      spec.store.store({ batch, m, n }, values, step);
    };
    if (exact) store();
    else b.if(lt(m, size.m), () => b.if(lt(n, size.n), store));
  });
}
