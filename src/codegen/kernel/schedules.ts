/** @file Every kind of schedule there is: of matmuls and of attention. */

import { ROWS } from './attention/rows/schedule.ts';
import { SPREAD } from './attention/spread/schedule.ts';
import { MATRIX } from './matmul/matrix/schedule.ts';
import { REGISTER } from './matmul/register/schedule.ts';
import { SHARED } from './matmul/shared/schedule.ts';
import { SUBGROUP } from './matmul/subgroup/schedule.ts';
import type { ScheduleOf } from './schedule/kind.ts';
import { kindText, parseKind } from './schedule/text.ts';

/** Their descriptions, by kind. */
export const SCHEDULE_KINDS = { register: REGISTER, subgroup: SUBGROUP, shared: SHARED, matrix: MATRIX, rows: ROWS, spread: SPREAD } as const;

export type Schedule = ScheduleOf<(typeof SCHEDULE_KINDS)[keyof typeof SCHEDULE_KINDS]>;

/** A schedule in a few words, which say all of it. */
export function scheduleText(schedule: Schedule): string {
  return kindText(SCHEDULE_KINDS[schedule.kind], schedule);
}

/** The schedule of a text; null where it is no schedule's. */
export function parseSchedule(text: string): Schedule | null {
  return Object.values(SCHEDULE_KINDS).reduce<Schedule | null>((found, kind) => found ?? parseKind(kind, text), null);
}
