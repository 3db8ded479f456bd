/** @file Runs of a setting over seeds, and settings against each other, seed by seed. */

import { deviation, mean, minimum } from '../stats.ts';
import type { Results, RunResult } from './results.ts';
import { atOwnLr } from './settings.ts';
import type { SettingTimes } from './times.ts';

/** Over seeds. */
export interface Spread {
  readonly values: readonly number[];
  readonly mean: number;
  /** NaN for one seed. */
  readonly deviation: number;
}

export const spread = (values: readonly number[]): Spread => ({ values, mean: mean(values), deviation: deviation(values) });

/** A run's result in numbers; losses with nothing dropped, in nats a token. */
interface Outcome {
  readonly seed: number;
  readonly heldOut: number;
  readonly train: number;
  /** By how much held-out loss minus training loss grew since the start. */
  readonly gap: number;
  /** FLOPs of the run by those of the run with nothing dropped and the same seed. */
  readonly cost: number;
  /** Bytes kept for backward, likewise. */
  readonly saved: number;
}

function outcome(run: RunResult, whole: RunResult | undefined): Outcome | null {
  const [first, last] = [run.evaluations[0], run.evaluations.at(-1)];
  if (!first || !last || run.failed !== undefined) return null;
  const flops = (r: RunResult): number => r.forwardFlops + r.backwardFlops;
  return {
    seed: run.seed,
    heldOut: last.heldOut,
    train: last.train,
    gap: last.heldOut - last.train - (first.heldOut - first.train),
    cost: whole ? flops(run) / flops(whole) : Number.NaN,
    saved: whole ? run.savedBytes / whole.savedBytes : Number.NaN,
  };
}

export interface Summary {
  readonly name: string;
  readonly runs: readonly RunResult[];
  /** Of the runs that came to their end. */
  readonly outcomes: readonly Outcome[];
  /** Milliseconds of a step in the mean of the runs; NaN where it was not timed. */
  readonly stepMs: number;
}

const BASELINE = 'none';

/** Settings whose runs are there, by name. */
export function summarise({ runs, times }: Results): Map<string, Summary> {
  const whole = new Map(runs.filter((r) => r.setting === BASELINE).map((r) => [r.seed, r]));
  const names = [...new Set(runs.map((r) => r.setting))];
  return new Map(
    names.map((name): [string, Summary] => {
      const own = runs.filter((r) => r.setting === name).sort((a, b) => a.seed - b.seed);
      const outcomes = own.flatMap((r) => outcome(r, whole.get(r.seed)) ?? []);
      // fewer steps with nothing dropped are the same steps
      const sameSteps = own[0]?.drop.kind === 'none' ? BASELINE : atOwnLr(name);
      const timed = times?.settings.find((s) => s.name === sameSteps);
      return [name, { name, runs: own, outcomes, stepMs: timed ? stepMs(timed, own) : Number.NaN }];
    }),
  );
}

/** The patterns that were timed are some of the runs': their milliseconds a FLOP, times the FLOPs of the runs' mean step. */
function stepMs({ ms, flops }: SettingTimes, runs: readonly RunResult[]): number {
  return (mean(ms) / mean(flops)) * mean(runs.map((r) => (r.forwardFlops + r.backwardFlops) / r.steps));
}

/** `a` minus `b` of the seeds that both have; the same seed gives both the same batches in the same order. */
export function paired(a: Summary, b: Summary, of: (o: Outcome) => number): Spread {
  return spread(
    a.outcomes.flatMap((o) => {
      const other = b.outcomes.find((p) => p.seed === o.seed);
      return other ? [of(o) - of(other)] : [];
    }),
  );
}

/** What measuring sensitivities took of the runs of a setting; null where nothing was measured. */
export function probeShare(
  { runs, stepMs }: Summary,
  times: Results['times'],
): { readonly flops: number; readonly official: number; readonly time: number } | null {
  const measured = runs.flatMap((r) => (r.probe ? [{ ...r.probe, whole: r.forwardFlops + r.backwardFlops + r.probe.flops }] : []));
  if (measured.length === 0) return null;
  const ms = times ? minimum(times.probeMs) : Number.NaN;
  const steps = mean(runs.map((r) => r.steps));
  return {
    flops: mean(measured.map((m) => m.flops / m.whole)),
    official: mean(measured.map((m) => m.officialFlops / (m.whole - m.flops + m.officialFlops))),
    time: ms / (steps * stepMs + ms),
  };
}
