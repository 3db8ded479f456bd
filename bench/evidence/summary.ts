/** @file Summarises the runs of a setting over seeds, and compares settings seed by seed. */

import { at } from '../../src/errors.ts';
import { deviation, mean, minimum } from '../stats.ts';
import type { Results, RunResult } from './results.ts';
import { atOwnLr } from './settings.ts';
import type { SettingTimes } from './times.ts';

/** Values by seed, with their mean. */
export interface Spread {
  readonly values: readonly number[];
  readonly mean: number;
  /** Their standard deviation. NaN for one seed. */
  readonly deviation: number;
}

export const spread = (values: readonly number[]): Spread => ({ values, mean: mean(values), deviation: deviation(values) });

/** The result of a run in numbers. Losses are measured with nothing dropped, in nats a token. */
interface Outcome {
  readonly seed: number;
  readonly heldOut: number;
  readonly train: number;
  /** How much the held-out loss minus the loss on training data grew since the start. */
  readonly gap: number;
  /** FLOPs of the run, relative to the run with nothing dropped and the same seed. NaN where that is missing. */
  readonly cost: number;
  /** Bytes that are kept for backward, relative to the same run. NaN where that is missing. */
  readonly saved: number;
}

/** The outcome of a run. Null for a run that failed or was never evaluated. */
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

/** The runs of a setting. */
export interface Summary {
  readonly name: string;
  readonly runs: readonly RunResult[];
  /** The outcomes of the runs that reached their end. */
  readonly outcomes: readonly Outcome[];
  /** Milliseconds of the mean step of the runs. NaN where the setting was not timed. */
  readonly stepMs: number;
}

/** The setting that the others are compared with. */
const BASELINE = 'none';

/** Summarises every setting that has runs, by name. */
export function summarise({ runs, times }: Results): Map<string, Summary> {
  const whole = new Map(runs.filter((r) => r.setting === BASELINE).map((r) => [r.seed, r]));
  const names = [...new Set(runs.map((r) => r.setting))];
  return new Map(
    names.map((name): [string, Summary] => {
      const own = runs.filter((r) => r.setting === name).sort((a, b) => a.seed - b.seed);
      const outcomes = own.flatMap((r) => outcome(r, whole.get(r.seed)) ?? []);
      // a setting with fewer steps and nothing dropped has the steps of the baseline
      const sameSteps = at(own, 0).drop.kind === 'none' ? BASELINE : atOwnLr(name);
      const timed = times?.settings.find((s) => s.name === sameSteps);
      return [name, { name, runs: own, outcomes, stepMs: timed ? stepMs(timed, own) : Number.NaN }];
    }),
  );
}

/** The milliseconds of the mean step: only some patterns of the runs were timed, so their milliseconds a FLOP are multiplied by the FLOPs of the mean step. */
function stepMs({ ms, flops }: SettingTimes, runs: readonly RunResult[]): number {
  return (mean(ms) / mean(flops)) * mean(runs.map((r) => (r.forwardFlops + r.backwardFlops) / r.steps));
}

/** Returns `a` minus `b` for every seed that both have. The same seed gives both the same batches in the same order. */
export function paired(a: Summary, b: Summary, of: (o: Outcome) => number): Spread {
  return spread(
    a.outcomes.flatMap((o) => {
      const other = b.outcomes.find((p) => p.seed === o.seed);
      return other ? [of(o) - of(other)] : [];
    }),
  );
}

/** The share of a setting's runs that measuring sensitivities takes: of its FLOPs, of the FLOPs by the reference code's way, and of its time. Null where nothing was measured. */
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
