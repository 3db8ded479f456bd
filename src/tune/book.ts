/** @file What was measured on a device, by problem: the schedules that won, with all their timings. */

import { z } from 'zod';
import type { ChooseSchedule, Schedule, ScheduleProblem } from '../codegen/kernel/lower/choice.ts';

/** Version of the kernel generator: what was measured with another one says nothing about this one's kernels. */
export const GENERATOR = 6;

const lanes = z.tuple([z.int().positive(), z.int().positive()]).readonly();
const matmulSchedule = z.strictObject({
  kind: z.enum(['register', 'subgroup', 'shared', 'matrix']),
  lanes,
  rows: z.int().positive(),
  cols: z.int().positive(),
  depth: z.int().positive(),
  kLanes: z.int().positive(),
  kFirst: z.boolean(),
  fold: z.int().positive(),
  // what was kept before there were these has none
  inTurn: z.boolean().default(false),
  storeLoop: z.boolean().default(false),
  fma: z.boolean().default(false),
  swapped: z.boolean().default(false),
  kGroups: z.int().positive().default(1),
  ahead: z.boolean().default(false),
  buffers: z.literal([1, 2]).default(1),
  vectorA: z.boolean(),
  vectorB: z.boolean(),
  matrix: z
    .strictObject({ m: z.int().positive(), n: z.int().positive(), k: z.int().positive(), input: z.enum(['f16', 'f32']), lanes: z.int().positive() })
    .optional(),
});
const attentionSchedule = z.strictObject({
  kind: z.enum(['rows', 'subgroup']),
  lanes: z.int().positive(),
  rows: z.int().positive(),
  splits: z.int().positive(),
  dimLanes: z.int().positive(),
});

/** One schedule tried on a problem. */
const trial = z.strictObject({
  schedule: z.union([matmulSchedule, attentionSchedule]),
  /** Milliseconds of a run, the least of several; null where the result was wrong. */
  ms: z.number().nullable(),
  /** Rounds it was measured in before it was given up. */
  rounds: z.int(),
  compileMs: z.number(),
});

const entry = z.strictObject({
  name: z.string(),
  kind: z.enum(['matmul', 'attention']),
  /** The winner first. */
  trials: z.array(trial).min(1),
});

export type Trial = z.infer<typeof trial>;
export type Entry = z.infer<typeof entry>;

/** Everything a timing depends on besides the problem. */
const surroundings = z.strictObject({ adapter: z.string(), features: z.array(z.string()), dawn: z.string(), generator: z.int() });
export type Surroundings = z.infer<typeof surroundings>;

export const bookSchema = z.strictObject({ format: z.literal('ebb-schedules'), surroundings, entries: z.record(z.string(), entry) });

/** Measured schedules of one device, by the keys of problems. */
export type ScheduleBook = z.infer<typeof bookSchema>;

export function emptyBook(where: Surroundings): ScheduleBook {
  return { format: 'ebb-schedules', surroundings: where, entries: {} };
}

/** Whether what was measured in `a` says something about `b`. */
export function sameSurroundings(a: Surroundings, b: Surroundings): boolean {
  return a.adapter === b.adapter && a.dawn === b.dawn && a.generator === b.generator && a.features.join() === b.features.join();
}

/**
 * Chooses what the book has measured, where the device can run it, and the standard schedule elsewhere.
 * @param used is told of every entry that was used
 */
export function bookChooser(book: ScheduleBook, used: (key: string, entry: Entry) => void = () => {}): ChooseSchedule {
  return <S extends Schedule>(problem: Pick<ScheduleProblem<S>, 'key' | 'kind' | 'standard' | 'fits'>): S => {
    const known = book.entries[problem.key];
    const [winner] = known?.trials ?? [];
    if (!known || !winner || known.kind !== problem.kind || winner.ms === null || !problem.fits(winner.schedule)) return problem.standard;
    used(problem.key, known);
    return winner.schedule as unknown as S;
  };
}
