/** @file A race of schedules on a device: candidates in turns, slow ones given up early, wrong ones never taken. */

import { type Schedule, scheduleText } from '../codegen/kernel/schedules.ts';
import { at } from '../errors.ts';
import type { Trial } from './book.ts';
import type { PreparedKernel } from './prepared.ts';

/** Rounds in which every candidate that is left has a turn. */
const ROUNDS = 6;
/** A candidate this much slower than the best is given up. */
const LOST = 1.3;
/** A turn lasts at least this long, so that coarse timers are good enough: browsers round to 0.1 ms and more. */
const TURN_MS = 4;
const MOST_REPEATS = 64;
/** The largest difference to the plain kernel's results that is taken for one of rounding, as a share of the largest of them. */
const TOLERANCE = 1e-3;

/** What is raced: schedules, each with whatever its kernel is made of. */
export interface Contest<C extends { readonly schedule: Schedule }> {
  readonly standard: C;
  readonly plain: C;
  readonly candidates: readonly C[];
}

export interface RaceOptions<C> {
  readonly prepare: (choice: C) => Promise<PreparedKernel>;
  readonly now: () => number;
  /** When it has to be over, on the clock of `now`. */
  readonly end: number;
  /** Milliseconds for which the device is kept at work before it measures; default 0. */
  readonly warmMs?: number | undefined;
}

/** A schedule in the race: its kernel, the least time of a run so far (infinite before the first), and the rounds it took part in. */
interface Runner {
  readonly schedule: Schedule;
  readonly kernel: PreparedKernel;
  readonly ms: number;
  readonly rounds: number;
}

const trialOf = ({ schedule, kernel: { compileMs }, ms, rounds }: Runner): Trial => ({ schedule, ms, rounds, compileMs });

/** The standard schedule against the candidates; the winner first, whose results are those of the plain schedule. */
export async function race<C extends { readonly schedule: Schedule }>(contest: Contest<C>, options: RaceOptions<C>): Promise<Trial[]> {
  const reference = await options.prepare(contest.plain);
  const expected = await reference.results();
  const runners = await prepared(contest, reference.compileMs, options);
  await warmUp(at(runners, 0).kernel, options);
  const byTime = (await measured(runners, options)).sort((a, b) => a.ms - b.ms);
  // Results of large tensors take longer to compare than kernels take to run, so only who would win is held to them.
  const wrong: Trial[] = [];
  for (const [i, runner] of byTime.entries()) {
    if (agrees(expected, await runner.kernel.results())) return [...byTime.slice(i).map(trialOf), ...wrong];
    wrong.push({ ...trialOf(runner), ms: null });
  }
  // A device on which even the standard kernel is wrong has the plain one.
  return [trialOf({ schedule: contest.plain.schedule, kernel: reference, ms: await reference.time(1), rounds: 1 }), ...wrong];
}

/** The standard schedule's kernel, and those of the candidates there is time for. */
async function prepared<C extends { readonly schedule: Schedule }>(
  { standard, candidates }: Contest<C>,
  compileMs: number,
  { prepare, now, end }: RaceOptions<C>,
): Promise<readonly Runner[]> {
  const others = candidates.filter(({ schedule }) => scheduleText(schedule) !== scheduleText(standard.schedule));
  const runners: Runner[] = [];
  let slowest = compileMs;
  for (const choice of [standard, ...others]) {
    // The time that is left has to do for compiling it and for the rounds.
    if (runners.length > 0 && now() + 1.5 * slowest >= end) break;
    const kernel = await prepare(choice);
    slowest = Math.max(slowest, kernel.compileMs);
    runners.push({ schedule: choice.schedule, kernel, ms: Number.POSITIVE_INFINITY, rounds: 0 });
  }
  return runners;
}

/** Runs in one turn, of a kernel that takes `once` milliseconds. */
const repeatsOf = (once: number): number => Math.max(1, Math.min(MOST_REPEATS, Math.ceil(TURN_MS / Math.max(once, 1e-3))));

/** Keeps a device at work for some time, since what was measured at different clocks cannot be compared. */
async function warmUp(kernel: PreparedKernel, { now, warmMs = 0 }: Pick<RaceOptions<never>, 'now' | 'warmMs'>): Promise<void> {
  const start = now();
  let once = 1;
  while (now() - start < warmMs) once = await kernel.time(repeatsOf(once));
}

/** All runners with their times: those that stayed in to the end first. */
async function measured(runners: readonly Runner[], { now, end }: Pick<RaceOptions<never>, 'now' | 'end'>): Promise<Runner[]> {
  let left = [...runners];
  const givenUp: Runner[] = [];
  for (let round = 0; round < ROUNDS && left.length > 0; round++) {
    const timed: Runner[] = [];
    for (const runner of left) timed.push(await turn(runner));
    const best = Math.min(...timed.map(({ ms }) => ms));
    givenUp.push(...timed.filter(({ ms }) => ms > LOST * best));
    left = timed.filter(({ ms }) => ms <= LOST * best);
    if (left.length === 1 || (round > 0 && now() >= end)) break;
  }
  return [...left, ...givenUp];
}

/** A runner after one more turn; before its first, one run says how many a turn has. */
async function turn(runner: Runner): Promise<Runner> {
  const { kernel, ms, rounds } = runner;
  const once = rounds === 0 ? await kernel.time(1) : ms;
  return { ...runner, ms: Math.min(ms, await kernel.time(repeatsOf(once))), rounds: rounds + 1 };
}

/** Whether results are those of the plain kernel, up to the order of sums. */
export function agrees(expected: readonly Float32Array[], found: readonly Float32Array[]): boolean {
  return expected.length === found.length && expected.every((own, i) => close(own, at(found, i)));
}

function close(own: Float32Array, other: Float32Array): boolean {
  const scale = own.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-6);
  const same = (x: number, y: number): boolean => Math.abs(x - y) <= TOLERANCE * scale || (Number.isNaN(x) && Number.isNaN(y));
  return own.length === other.length && own.every((x, k) => same(x, at(other, k)));
}
