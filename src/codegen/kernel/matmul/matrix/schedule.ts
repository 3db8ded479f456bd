/** @file Schedules of kind `matrix`: which a device and a precision allow, and what they take. */

import { invariant } from '../../../../errors.ts';
import type { MatrixShape, MatrixTraits } from '../../../../runtime/matrices.ts';
import { BASE, type MatmulPrecision, type MatmulSchedule } from '../schedule.ts';

/** The matrices of a schedule of kind `matrix`. */
export function matrixOf({ matrix }: Pick<MatmulSchedule, 'matrix'>): MatrixShape {
  invariant(matrix !== undefined, 'a matrix matmul has a shape of matrices');
  return matrix;
}

const BYTES = { f16: 2, f32: 4 } as const;

/** Elements that make lines of workgroup memory start at other banks; 16 bytes, to which loads of matrices have to be aligned. */
export function matrixPadding(input: MatrixShape['input']): number {
  return 16 / BYTES[input];
}

/** Bytes of workgroup memory: the tiles of all operands, and one fragment of each result and subgroup. */
export function matrixBytes(
  schedule: MatmulSchedule,
  { operands, products }: { readonly operands: { readonly a: number; readonly b: number }; readonly products: number },
): number {
  const { lanes, rows, cols, depth, buffers } = schedule;
  const { m, n, input } = matrixOf(schedule);
  const lines = operands.a * (lanes[1] * rows + matrixPadding(input)) + operands.b * (lanes[0] * cols + matrixPadding(input));
  return BYTES[input] * buffers * depth * lines + 4 * lanes[0] * lanes[1] * products * m * n;
}

/** Whether the matrices of a schedule are among the device's, keep the precision asked for, and divide its tiles. */
export function fitsMatrix(schedule: MatmulSchedule, traits: MatrixTraits | null | undefined, precision: MatmulPrecision, maxInvocations: number): boolean {
  const { lanes, rows, cols, depth, kLanes, kFirst, matrix } = schedule;
  if (!traits || !matrix || kLanes !== 1 || kFirst || (matrix.input === 'f16' && precision !== 'f16')) return false;
  const { m, n, k, input } = matrix;
  const known = traits.shapes.some((s) => s.m === m && s.n === n && s.k === k && s.input === input && s.lanes === matrix.lanes);
  const invocations = lanes[0] * lanes[1] * matrix.lanes;
  const whole = rows % m === 0 && cols % n === 0 && depth % k === 0 && invocations % traits.multiple === 0;
  // lines of tiles are read as vec4, and matrices start at 16 bytes
  const aligned = [rows, cols, m, n].every((size) => size % matrixPadding(input) === 0);
  return known && whole && aligned && invocations <= maxInvocations;
}

/** Subgroups along n and m, what each computes at the least (a multiple of the matrices' size is), and the depth of a tile. */
const CUTS: readonly (Pick<MatmulSchedule, 'lanes' | 'rows' | 'cols' | 'depth'> & Partial<Pick<MatmulSchedule, 'ahead' | 'buffers'>>)[] = [
  { lanes: [4, 2], rows: 32, cols: 32, depth: 16 },
  { lanes: [4, 2], rows: 32, cols: 32, depth: 16, ahead: true, buffers: 2 },
  { lanes: [2, 2], rows: 32, cols: 32, depth: 32 },
  { lanes: [2, 2], rows: 32, cols: 32, depth: 16 },
  { lanes: [2, 2], rows: 16, cols: 32, depth: 32 },
  { lanes: [2, 2], rows: 16, cols: 16, depth: 32 },
  { lanes: [4, 2], rows: 32, cols: 32, depth: 32, ahead: true, buffers: 2 },
];

/**
 * Cuts worth trying, the likeliest first; matrices of f16 only where that precision was asked for. Of matrices as high and deep, the narrowest first:
 * wider ones are made of it (an H200 in turns, 2048 × 1024 × 1024 by the first cut: 16 × 8 × 16 0.263 ms, 16 × 16 × 16 0.274).
 */
export function matrixSchedules({ shapes }: MatrixTraits, precision: MatmulPrecision): MatmulSchedule[] {
  const largest = [...shapes].filter(({ input }) => input === 'f32' || precision === 'f16').sort((a, b) => b.m * b.k - a.m * a.k || a.n - b.n);
  const up = (size: number, to: number): number => Math.ceil(size / to) * to;
  return largest.slice(0, 2).flatMap((matrix) =>
    CUTS.map(
      ({ rows, cols, depth, ...cut }): MatmulSchedule => ({
        ...BASE,
        kind: 'matrix',
        ...cut,
        rows: up(rows, matrix.m),
        cols: up(cols, matrix.n),
        depth: up(depth, matrix.k),
        matrix,
      }),
    ),
  );
}
