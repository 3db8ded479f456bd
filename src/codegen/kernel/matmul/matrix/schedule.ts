/** @file Schedules of kind `matrix`: tiles go through workgroup memory as for `shared`, but subgroups multiply them as matrices. */

import type { MatrixShape } from '../../../../runtime/matrices.ts';
import { type DeviceTraits, kindTraits } from '../../device.ts';
import { type ScheduleOf, scheduleMaker } from '../../schedule/kind.ts';
import { FILLING, SHARES, TILE } from '../fields.ts';
import type { MatmulKind } from '../kind.ts';
import type { MatmulLoad, MatmulPrecision } from '../work.ts';

export const MATRIX = {
  kind: 'matrix',
  fields: {
    ...TILE,
    /** Subgroups of a workgroup along n and m; each computes rows × cols. */
    subgroups: { holds: 'pair', text: '# subgroups' },
    /** k of a tile, a multiple of the matrices'. */
    depth: { holds: 'count', text: 'depth #' },
    /** What a subgroup multiplies at once; operands are converted to its input type. */
    matrix: { holds: 'matrix', text: 'of #' },
    ...FILLING,
    ...SHARES,
  },
} as const;

export type MatrixSchedule = ScheduleOf<typeof MATRIX>;

export const matrix = scheduleMaker(MATRIX);

const BYTES = { f16: 2, f32: 4 } as const;

/** Elements behind a line of workgroup memory, so that lines start at different banks: 16 bytes, to which loads of matrices have to be aligned. */
export function matrixPadding(input: MatrixShape['input']): number {
  return 16 / BYTES[input];
}

/** Workgroup memory holds the tiles of all operands, and one fragment of each result and subgroup. */
function bytes(schedule: MatrixSchedule, { operands, products }: MatmulLoad): number {
  const { subgroups, rows, cols, depth, twoBuffers } = schedule;
  const { m, n, input } = schedule.matrix;
  const lines = operands.a * (subgroups[1] * rows + matrixPadding(input)) + operands.b * (subgroups[0] * cols + matrixPadding(input));
  return BYTES[input] * (twoBuffers ? 2 : 1) * depth * lines + 4 * subgroups[0] * subgroups[1] * products * m * n;
}

/** The second buffer goes first, since it saves a barrier a tile where half the depth costs one; then the tile gets half as deep. */
function smaller(schedule: MatrixSchedule): MatrixSchedule | null {
  if (schedule.twoBuffers) return { ...schedule, twoBuffers: false };
  return schedule.depth % (2 * schedule.matrix.k) === 0 ? { ...schedule, depth: schedule.depth / 2 } : null;
}

const invocationsOf = ({ subgroups, matrix }: MatrixSchedule): number => subgroups[0] * subgroups[1] * matrix.lanes;

/** Whether the matrices are among the device's, keep the precision asked for, and divide the tiles. */
function fits(schedule: MatrixSchedule, { matrices: traits }: DeviceTraits, precision: MatmulPrecision): boolean {
  const { rows, cols, depth } = schedule;
  const { m, n, k, input, lanes } = schedule.matrix;
  if (!traits || (input === 'f16' && precision !== 'f16')) return false;
  const known = traits.shapes.some((s) => s.m === m && s.n === n && s.k === k && s.input === input && s.lanes === lanes);
  const whole = rows % m === 0 && cols % n === 0 && depth % k === 0 && invocationsOf(schedule) % traits.multiple === 0;
  // Lines of tiles are read as vec4, and matrices start at multiples of 16 bytes.
  const aligned = [rows, cols, m, n].every((size) => size % matrixPadding(input) === 0);
  return known && whole && aligned;
}

export const MATRIX_KIND: MatmulKind<MatrixSchedule> = {
  description: MATRIX,
  cut: ({ subgroups, rows, cols, depth, kGroups }) => ({ lanes: subgroups, rows, cols, depth, kLanes: 1, kGroups, wide: true }),
  workgroup: (schedule) => [invocationsOf(schedule), 1, 1],
  uses: ({ matrix: { input, lanes } }) => ({ matrices: true, subgroupSize: lanes, ...(input === 'f16' ? { f16: true } : {}) }),
  bytes,
  smaller,
  fits,
  // Subgroups hold their matrices together, and store them in loops.
  unrolled: () => null,
  sharesK: () => true,
};

/** What each subgroup computes at the least, and the depth of a tile; both are rounded up to multiples of the matrices' size. */
const CUTS: readonly (Pick<MatrixSchedule, 'subgroups' | 'rows' | 'cols' | 'depth'> & Partial<MatrixSchedule>)[] = [
  { subgroups: [4, 2], rows: 32, cols: 32, depth: 16 },
  { subgroups: [4, 2], rows: 32, cols: 32, depth: 16, ahead: true, twoBuffers: true },
  { subgroups: [2, 2], rows: 32, cols: 32, depth: 32 },
  { subgroups: [2, 2], rows: 32, cols: 32, depth: 16 },
  { subgroups: [2, 2], rows: 16, cols: 32, depth: 32 },
  { subgroups: [2, 2], rows: 16, cols: 16, depth: 32 },
  { subgroups: [4, 2], rows: 32, cols: 32, depth: 32, ahead: true, twoBuffers: true },
];

/** How many shapes of matrices are tried. */
const MOST_SHAPES = 2;

/**
 * Schedules worth measuring, the likeliest first; matrices of f16 are among them only where that precision was asked for. Of matrices as high and deep
 * the narrowest comes first, since wider ones are made of it (an H200 takes 0.263 ms for 2048 × 1024 × 1024 by 16 × 8 × 16, by 16 × 16 × 16 0.274).
 */
export function matrixCandidates({ matrices }: DeviceTraits, precision: MatmulPrecision): readonly MatrixSchedule[] {
  const largest = (matrices?.shapes ?? []).filter(({ input }) => input === 'f32' || precision === 'f16').sort((a, b) => b.m * b.k - a.m * a.k || a.n - b.n);
  const up = (size: number, to: number): number => Math.ceil(size / to) * to;
  return largest
    .slice(0, MOST_SHAPES)
    .flatMap((shape) =>
      CUTS.map(({ rows, cols, depth, ...cut }) =>
        matrix({ ...cut, rows: up(rows, shape.m), cols: up(cols, shape.n), depth: up(depth, shape.k), matrix: shape }),
      ),
    );
}

/** Schedules that a device may start with: it does where f16 was asked for, and its matrices are known to be many times faster than its lanes. */
export function startingMatrices(device: DeviceTraits, precision: MatmulPrecision): readonly MatrixSchedule[] {
  const traits = kindTraits(device);
  if (precision === 'f32' || traits.lanesInTurn || !traits.fastMatrices) return [];
  return matrixCandidates(device, precision);
}
