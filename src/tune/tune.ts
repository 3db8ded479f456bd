/** @file Measures the schedules of problems: candidates in turns, slow ones given up early, wrong ones never taken. */

import type { ChooseSchedule, ScheduleProblem } from '../codegen/kernel/lower/choice.ts';
import { type Schedule, scheduleText } from '../codegen/kernel/schedules.ts';
import { at } from '../errors.ts';
import type { Value } from '../ir/types.ts';
import type { Device } from '../runtime/device.ts';
import type { Extent, Sizes } from '../runtime/program.ts';
import type { Entry, ScheduleBook, Trial } from './book.ts';
import { createOperands, type PreparedKernel, prepareKernel } from './prepared.ts';

/** A problem with what its kernels are run at. */
export interface OpenProblem {
  readonly problem: ScheduleProblem;
  readonly dims: readonly string[];
  readonly sizes: Sizes;
}

export interface TuneOptions {
  readonly device: Device;
  readonly book: ScheduleBook;
  readonly extentOf: (value: Value) => Extent;
  /** Milliseconds for everything. */
  readonly budgetMs: number;
  /** Milliseconds for one problem. */
  readonly perProblemMs?: number;
  /** Milliseconds for which the device is kept at work before it measures; default 0. See `warmUp`. */
  readonly warmMs?: number;
  /** Told before each problem. */
  readonly onProblem?: (done: number, total: number, name: string) => void;
  readonly now?: () => number;
}

/** A chooser that takes the standard schedules and notes the problems it is asked for that `book` does not know. */
export function collector(book: ScheduleBook, dims: readonly string[], sizes: Sizes): { readonly choose: ChooseSchedule; readonly open: () => OpenProblem[] } {
  const found = new Map<string, OpenProblem>();
  return {
    choose: (problem) => {
      if (!Object.hasOwn(book.entries, problem.key) && !found.has(problem.key)) found.set(problem.key, { problem, dims, sizes });
      return problem.standard;
    },
    open: () => [...found.values()],
  };
}

/** Rounds in which every candidate that is left has a turn. */
const ROUNDS = 6;
/** A candidate this much slower than the best is given up. */
const LOST = 1.3;
/** A turn lasts at least this long, so that coarse timers do: browsers round to 0.1 ms and more. */
const TURN_MS = 4;
const MOST_REPEATS = 64;
/** Largest difference to the plain kernel's results, of their largest. */
const TOLERANCE = 1e-3;

/** Measures problems in turn until the budget is spent; returns the book with what came out, and how many problems are left. */
export async function tune(problems: readonly OpenProblem[], options: TuneOptions): Promise<{ readonly book: ScheduleBook; readonly left: number }> {
  const { device, budgetMs, onProblem, now = () => performance.now() } = options;
  const deadline = now() + budgetMs;
  const entries: Record<string, Entry> = { ...options.book.entries };
  let done = 0;
  for (const { problem, dims, sizes } of problems) {
    if (now() >= deadline) break;
    onProblem?.(done, problems.length, problem.name);
    const operands = await createOperands(device, dims, sizes, options.extentOf);
    const end = Math.min(deadline, now() + (options.perProblemMs ?? 5000));
    const trials = await race(problem, ({ lower }) => prepareKernel(device, lower(), operands, sizes), end, now, options.warmMs);
    operands.destroy();
    if (trials.length > 0) entries[problem.key] = { name: problem.name, kind: problem.kind, trials };
    done++;
  }
  return { book: { ...options.book, entries }, left: problems.length - done };
}

/** A schedule in the race: its kernel, and what was measured of it so far. */
interface Runner {
  readonly trial: Trial;
  readonly kernel: PreparedKernel;
}

/** Runs in one turn, of a kernel that takes `once` milliseconds. */
const repeatsOf = (once: number): number => Math.max(1, Math.min(MOST_REPEATS, Math.ceil(TURN_MS / Math.max(once, 1e-3))));

/** Keeps a device at work for some time: what is measured at another clock than the rest is not compared with it. */
async function warmUp(kernel: PreparedKernel, ms: number, now: () => number): Promise<void> {
  const start = now();
  let once = 1;
  while (now() - start < ms) once = await kernel.time(repeatsOf(once));
}

/** What is raced: schedules, and with them whatever `prepare` makes kernels of. */
export interface Contest<C extends { readonly schedule: Schedule }> {
  readonly standard: C;
  readonly plain: C;
  readonly candidates: readonly C[];
}

/** The standard schedule against the candidates; the winner first, whose results are those of the plain schedule. */
export async function race<C extends { readonly schedule: Schedule }>(
  { standard, plain, candidates }: Contest<C>,
  prepare: (choice: C) => Promise<PreparedKernel>,
  end: number,
  now: () => number,
  warmMs = 0,
): Promise<Trial[]> {
  const reference = await prepare(plain);
  const expected = await reference.results();
  const others = candidates.filter(({ schedule }) => scheduleText(schedule) !== scheduleText(standard.schedule));
  const runners: Runner[] = [];
  let slowest = reference.compileMs;
  for (const choice of [standard, ...others]) {
    // what is left must do for compiling it and for the rounds
    if (runners.length > 0 && now() + 1.5 * slowest >= end) break;
    const kernel = await prepare(choice);
    slowest = Math.max(slowest, kernel.compileMs);
    runners.push({ trial: { schedule: choice.schedule, ms: Number.POSITIVE_INFINITY, rounds: 0, compileMs: kernel.compileMs }, kernel });
  }
  await warmUp(at(runners, 0).kernel, warmMs, now);
  const byTime = (await rounds(runners, end, now)).sort((a, b) => (a.trial.ms ?? 0) - (b.trial.ms ?? 0));
  // results of large tensors take longer to compare than kernels to run: only who would win is held to them
  const wrong: Trial[] = [];
  for (const [i, { trial, kernel }] of byTime.entries()) {
    if (agrees(expected, await kernel.results())) return [...byTime.slice(i).map((runner) => runner.trial), ...wrong];
    wrong.push({ ...trial, ms: null });
  }
  // a device on which even the standard kernel is wrong has the plain one
  const ms = await reference.time(1);
  return [{ schedule: plain.schedule, ms, rounds: 1, compileMs: reference.compileMs }, ...wrong];
}

async function rounds(runners: readonly Runner[], end: number, now: () => number): Promise<Runner[]> {
  let left = [...runners];
  const given: Runner[] = [];
  for (let round = 0; round < ROUNDS && left.length > 0; round++) {
    const next: Runner[] = [];
    for (const { trial, kernel } of left) {
      const once = trial.rounds === 0 ? await kernel.time(1) : (trial.ms ?? 1);
      const ms = Math.min(trial.ms ?? once, await kernel.time(repeatsOf(once)));
      next.push({ trial: { ...trial, ms, rounds: round + 1 }, kernel });
    }
    const best = Math.min(...next.map(({ trial }) => trial.ms ?? Number.POSITIVE_INFINITY));
    const lost = ({ trial }: Runner): boolean => (trial.ms ?? 0) > LOST * best;
    given.push(...next.filter(lost));
    left = next.filter((r) => !lost(r));
    if (left.length === 1 || (round > 0 && now() >= end)) break;
  }
  return [...left, ...given];
}

/** Whether results are those of the plain kernel, up to the order of sums. */
export function agrees(expected: readonly Float32Array[], found: readonly Float32Array[]): boolean {
  return (
    expected.length === found.length &&
    expected.every((own, i) => {
      const other = found[i] ?? new Float32Array();
      const scale = own.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-6);
      return (
        own.length === other.length &&
        own.every((x, k) => Math.abs(x - (other[k] ?? Number.NaN)) <= TOLERANCE * scale || (Number.isNaN(x) && Number.isNaN(other[k])))
      );
    })
  );
}
