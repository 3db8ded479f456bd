/** @file The matmul kernel: one entry point over the ways of cutting it that ./matmulTypes.ts describes. */

import { invariant } from '../../errors.ts';
import { kernelBuilder } from './builder.ts';
import type { Kernel } from './ir.ts';
import { registerBody } from './matmulRegister.ts';
import { sharedBody } from './matmulShared.ts';
import { tileContext } from './matmulTile.ts';
import type { MatmulSchedule, MatmulSpec } from './matmulTypes.ts';

export type { MatmulPort, MatmulSchedule, MatmulSpec } from './matmulTypes.ts';

/**
 * Builds the kernel of one or several results [batch, m, n], each the sum of its products; accumulates in f32.
 * Grid: x over n, y over m, z over the batch (and the shares of k, the batch innermost). Sizes need not be multiples of anything.
 */
export function matmul(spec: MatmulSpec, schedule: MatmulSchedule): Kernel {
  const { kind, lanes, rows, cols, kLanes } = schedule;
  invariant(kind === 'register' || kLanes === 1, `a ${kind} matmul has no k lanes`);
  invariant(kind !== 'subgroup' || lanes[1] === 1, 'a subgroup matmul has one row of lanes');
  const workgroup: readonly [number, number, number] = schedule.kFirst ? [kLanes, lanes[0], lanes[1]] : [lanes[0], lanes[1], kLanes];
  const b = kernelBuilder(spec.name, workgroup, kind === 'subgroup' ? { subgroups: true, subgroupSize: lanes[0] } : {});
  const tile = tileContext(b, spec, schedule);
  if (kind === 'shared') sharedBody(b, tile);
  else registerBody(b, tile);
  return b.finish([
    { of: spec.n.of, per: lanes[0] * cols },
    { of: spec.m.of, per: lanes[1] * rows },
    { of: schedule.kGroups > 1 ? [...spec.batch.of, schedule.kGroups] : spec.batch.of, per: 1 },
  ]);
}
