/** @file What was measured on a device, by problem: the schedules that won, with all their timings. */

import { z } from 'zod';
import type { ChooseSchedule } from '../codegen/kernel/lower/choice.ts';
import type { Schedule } from '../codegen/kernel/schedules.ts';
import { earlierSchedule } from './earlier.ts';
import { scheduleSchema } from './schema.ts';

/** The version of what makes kernels. What was measured with another one says nothing about this one's kernels. */
export const GENERATOR = 6;

/** The version of a book's form. Books of version 1 do not say it. */
export const BOOK_VERSION = 2;

/** One schedule tried on a problem. */
const trialOf = (schedule: z.ZodType<Schedule>) =>
  z.strictObject({
    schedule,
    /** Milliseconds of a run, the least of several; null where the result was wrong. */
    ms: z.number().nullable(),
    /** Rounds it was measured in before it was given up. */
    rounds: z.int(),
    compileMs: z.number(),
  });

const entriesOf = (schedule: z.ZodType<Schedule>) =>
  z.record(
    z.string(),
    z.strictObject({
      name: z.string(),
      kind: z.enum(['matmul', 'attention']),
      /** The winner first. */
      trials: z.array(trialOf(schedule)).min(1),
    }),
  );

/** Everything a timing depends on besides the problem. */
const surroundings = z.strictObject({ adapter: z.string(), features: z.array(z.string()), dawn: z.string(), generator: z.int() });
export type Surroundings = z.infer<typeof surroundings>;

const format = z.literal('ebb-schedules');
const current = z.strictObject({ format, version: z.literal(BOOK_VERSION), surroundings, entries: entriesOf(scheduleSchema) });

/** Measured schedules of one device, by the keys of problems. */
export type ScheduleBook = z.infer<typeof current>;
export type Entry = ScheduleBook['entries'][string];
export type Trial = Entry['trials'][number];

/** How books are read, by the version that they say. Books of version 1, which say none, are read as they would be now. */
export const BOOK_SCHEMAS: ReadonlyMap<unknown, z.ZodType<ScheduleBook>> = new Map<unknown, z.ZodType<ScheduleBook>>([
  [
    undefined,
    z
      .strictObject({ format, surroundings, entries: entriesOf(earlierSchedule) })
      .transform((book): ScheduleBook => ({ ...emptyBook(book.surroundings), entries: book.entries })),
  ],
  [BOOK_VERSION, current],
]);

export function emptyBook(where: Surroundings): ScheduleBook {
  return { format: 'ebb-schedules', version: BOOK_VERSION, surroundings: where, entries: {} };
}

/** Whether what was measured in `a` holds in `b`. */
export function sameSurroundings(a: Surroundings, b: Surroundings): boolean {
  return a.adapter === b.adapter && a.dawn === b.dawn && a.generator === b.generator && a.features.join() === b.features.join();
}

/**
 * Chooses what the book has measured, where the device can run it, and the standard schedule elsewhere.
 * @param used is told of every entry that was used
 */
export function bookChooser(book: ScheduleBook, used: (key: string, entry: Entry) => void = () => {}): ChooseSchedule {
  return (problem) => {
    const known = book.entries[problem.key];
    const [winner] = known?.trials ?? [];
    const choice = winner === undefined || winner.ms === null ? null : problem.choice(winner.schedule);
    if (!known || !choice) return problem.standard;
    used(problem.key, known);
    return choice;
  };
}
