/** @file Schedules as books of version 1 have them: fields of all kinds in one, of which each kind used some. */

import { z } from 'zod';
import { rows } from '../codegen/kernel/attention/rows/schedule.ts';
import { spread } from '../codegen/kernel/attention/spread/schedule.ts';
import { matrix } from '../codegen/kernel/matmul/matrix/schedule.ts';
import { register } from '../codegen/kernel/matmul/register/schedule.ts';
import { shared } from '../codegen/kernel/matmul/shared/schedule.ts';
import { subgroup } from '../codegen/kernel/matmul/subgroup/schedule.ts';
import type { Schedule } from '../codegen/kernel/schedules.ts';
import { matrixShape, positive } from './schema.ts';

/** Fields that are not in the first books are read as if they had these defaults. */
const matmul = z.strictObject({
  kind: z.enum(['register', 'subgroup', 'shared', 'matrix']),
  lanes: z.tuple([positive, positive]),
  rows: positive,
  cols: positive,
  depth: positive,
  kLanes: positive,
  kFirst: z.boolean(),
  fold: positive,
  inTurn: z.boolean().default(false),
  storeLoop: z.boolean().default(false),
  fma: z.boolean().default(false),
  swapped: z.boolean().default(false),
  kGroups: positive.default(1),
  ahead: z.boolean().default(false),
  buffers: z.literal([1, 2]).default(1),
  vectorA: z.boolean(),
  vectorB: z.boolean(),
  matrix: matrixShape.optional(),
});
const attention = z.strictObject({ kind: z.enum(['rows', 'subgroup']), lanes: positive, rows: positive, splits: positive, dimLanes: positive });

type Matmul = z.infer<typeof matmul>;

/** What a field held where the kind had no use for it. */
const IDLE = {
  kLanes: 1,
  kFirst: false,
  fold: 1,
  inTurn: false,
  storeLoop: false,
  fma: false,
  swapped: false,
  ahead: false,
  buffers: 1,
  vectorA: true,
  vectorB: true,
  matrix: undefined,
} as const satisfies Partial<Matmul>;

/** The fields that a kind used besides those of all. */
const USED: Readonly<Record<Matmul['kind'], readonly (keyof typeof IDLE)[]>> = {
  register: ['kLanes', 'kFirst', 'fold', 'inTurn', 'storeLoop', 'fma', 'vectorA', 'vectorB'],
  subgroup: ['fold', 'inTurn', 'storeLoop', 'fma', 'swapped'],
  shared: ['ahead', 'buffers'],
  matrix: ['ahead', 'buffers', 'matrix'],
};

/** Why a schedule means nothing, or null. */
function problemOf(schedule: Matmul): string | null {
  const { kind, lanes, vectorA, vectorB } = schedule;
  const stray = (Object.keys(IDLE) as (keyof typeof IDLE)[]).find((name) => !USED[kind].includes(name) && schedule[name] !== IDLE[name]);
  if (stray !== undefined) return `a schedule of kind ${kind} has ${stray} ${JSON.stringify(schedule[stray])}, which that kind has no use for`;
  if (vectorA !== vectorB) return 'vectorA and vectorB differ, which no schedule of Ebb has';
  if (kind === 'subgroup' && lanes[1] !== 1) return `a schedule of kind subgroup has lanes ${lanes.join(' × ')}, expected one row of them`;
  return kind === 'matrix' && schedule.matrix === undefined ? 'a schedule of kind matrix has no matrix' : null;
}

function ofItsKind(schedule: Matmul): Schedule {
  const { kind, lanes, rows, cols, depth, kGroups, kLanes, kFirst, fold, inTurn, storeLoop, fma, swapped, ahead, buffers, vectorA } = schedule;
  const tile = { rows, cols, depth, kGroups };
  const adding = { fold, inTurn, storeLoop, fma };
  const filling = { ahead, twoBuffers: buffers === 2 };
  switch (kind) {
    case 'register':
      return register({ ...tile, lanes, kLanes, kFirst, ...adding, scalarLoads: !vectorA });
    case 'subgroup':
      return subgroup({ ...tile, lanes: lanes[0], ...adding, swapped });
    case 'shared':
      return shared({ ...tile, lanes, ...filling });
    case 'matrix':
      return matrix({ ...tile, subgroups: lanes, ...filling, matrix: matrixShape.parse(schedule.matrix) });
  }
}

/** A schedule of a book of version 1, as it is now. */
export const earlierSchedule = z.union([matmul, attention]).transform((schedule, context): Schedule => {
  const refuse = (message: string): never => {
    context.issues.push({ code: 'custom', message, input: schedule });
    return z.NEVER;
  };
  if ('cols' in schedule) {
    const problem = problemOf(schedule);
    return problem === null ? ofItsKind(schedule) : refuse(problem);
  }
  const { kind, lanes, splits, dimLanes } = schedule;
  if (kind === 'rows') return rows({ lanes, rows: schedule.rows, splits, dimLanes });
  if (splits !== 1 || dimLanes !== 1) return refuse('a schedule of attention of kind subgroup has splits or dimLanes, which that kind has no use for');
  return spread({ lanes, rows: schedule.rows });
});
