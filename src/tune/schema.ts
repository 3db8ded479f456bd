/** @file What a file may say of a schedule: derived from the descriptions of the kinds, and just as strict. */

import { z } from 'zod';
import type { ScheduleField, ScheduleKind } from '../codegen/kernel/schedule/kind.ts';
import { SCHEDULE_KINDS, type Schedule } from '../codegen/kernel/schedules.ts';
import { at } from '../errors.ts';

export const positive = z.int().positive();

export const matrixShape = z.strictObject({ m: positive, n: positive, k: positive, input: z.enum(['f16', 'f32']), lanes: positive });

const FIELD: Readonly<Record<ScheduleField['holds'], z.ZodType>> = {
  count: positive,
  flag: z.boolean(),
  pair: z.tuple([positive, positive]),
  matrix: matrixShape,
};

function schemaOf({ kind, fields }: ScheduleKind) {
  return z.strictObject({ kind: z.literal(kind), ...Object.fromEntries(Object.entries(fields).map(([name, { holds }]) => [name, FIELD[holds]])) });
}

const schemas = Object.values(SCHEDULE_KINDS).map(schemaOf);

/** A schedule of any kind, with every field of its kind and no other. */
export const scheduleSchema = z.discriminatedUnion('kind', [
  at(schemas, 0),
  ...schemas.slice(1),
  // zod cannot tell the type from the descriptions, from which `Schedule` derives too.
]) as unknown as z.ZodType<Schedule>;
