/** @file How a matmul is cut: a schedule of one of these kinds. */

import type { MatmulKind } from './kind.ts';
import { MATRIX_KIND, type MatrixSchedule } from './matrix/schedule.ts';
import { REGISTER_KIND, type RegisterSchedule } from './register/schedule.ts';
import { SHARED_KIND, type SharedSchedule } from './shared/schedule.ts';
import { SUBGROUP_KIND, type SubgroupSchedule } from './subgroup/schedule.ts';

/**
 * The kinds:
 * - register: each lane loads operands from memory.
 * - subgroup: a workgroup is one subgroup; A is loaded once by its lanes and broadcast.
 * - shared: tiles of both operands go through workgroup memory.
 * - matrix: as shared, but subgroups multiply tiles as matrices.
 */
export interface MatmulSchedules {
  readonly register: RegisterSchedule;
  readonly subgroup: SubgroupSchedule;
  readonly shared: SharedSchedule;
  readonly matrix: MatrixSchedule;
}
export type MatmulSchedule = MatmulSchedules[keyof MatmulSchedules];

export const MATMUL_KINDS: { readonly [K in keyof MatmulSchedules]: MatmulKind<MatmulSchedules[K]> } = {
  register: REGISTER_KIND,
  subgroup: SUBGROUP_KIND,
  shared: SHARED_KIND,
  matrix: MATRIX_KIND,
};

/** Returns the kind of a schedule. */
export function kindOf<K extends keyof MatmulSchedules>(schedule: { readonly kind: K }): MatmulKind<MatmulSchedules[K]> {
  return MATMUL_KINDS[schedule.kind];
}

export function isMatmulSchedule(schedule: { readonly kind: string }): schedule is MatmulSchedule {
  return schedule.kind in MATMUL_KINDS;
}
