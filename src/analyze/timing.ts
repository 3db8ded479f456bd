/** @file Times real steps of several drop plans, which take turns. The learning rate is 0, so that no parameter changes. */

import { meanOf } from '../dropbp/fidelity/estimate.ts';
import type { DropPlanConfig } from '../dropbp/plans/index.ts';
import { at } from '../errors.ts';
import { newState, type StepMetrics, type TrainerOptions, train } from '../train/loop.ts';

/** What the steps of a plan took. */
export interface StepTime {
  /** Milliseconds of a step: the mean over its patterns of each pattern's least round. */
  readonly ms: number;
  /** The mean over its patterns of each pattern's median round, in milliseconds. */
  readonly medianMs: number;
  /** The mean over the patterns in each round, in milliseconds. */
  readonly roundMs: readonly number[];
  /** FLOPs of a step, forward and backward, counted from the same patterns. */
  readonly flops: number;
  readonly forwardFlops: number;
  /** The most bytes that activations, residuals and scratch of a pattern took. */
  readonly peakBytes: number;
}

export interface TimingOptions extends Pick<TrainerOptions, 'engine' | 'config' | 'batches'> {
  readonly plans: readonly DropPlanConfig[];
  /** Number of steps of each plan: the patterns of its first steps, on the first batches. */
  readonly patterns: number;
  /** How often each step is timed. The plans take turns. */
  readonly rounds: number;
  readonly onRound?: (done: number, total: number) => void;
}

/** The first step of a turn has no step ahead of it to wait for, so it is not counted. */
const UNCOUNTED = 1;

/** What was measured of one plan. Lists of counts are by pattern. */
interface PlanTimes {
  /** Milliseconds by pattern, then by round. */
  readonly ms: readonly number[][];
  readonly flops: number[];
  readonly forwardFlops: number[];
  readonly peakBytes: number[];
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (at(sorted, Math.floor(middle)) + at(sorted, Math.ceil(middle))) / 2;
};

/** Times steps of several plans as a run takes them, with two steps under way. Changes gradients and moments, and no parameter. */
export async function timeSteps({ engine, config, batches, plans, patterns, rounds, onRound }: TimingOptions): Promise<StepTime[]> {
  const still = { ...config, optimizer: { ...config.optimizer, lr: 0 }, schedule: 'constant', warmupSteps: 0, steps: patterns + UNCOUNTED } as const;
  const measured = plans.map((plan): PlanTimes & { plan: DropPlanConfig } => ({
    plan,
    ms: Array.from({ length: patterns }, () => []),
    flops: [],
    forwardFlops: [],
    peakBytes: [],
  }));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < plans.length; turn++) {
      // the order shifts each round, so that no plan always follows the same other one
      const { plan, ...times } = at(measured, (turn + round) % plans.length);
      const onStep = (step: StepMetrics): void => record(times, step, round);
      await train({ engine, batches, state: newState(engine), config: { ...still, drop: plan }, onStep });
      onRound?.(round * plans.length + turn + 1, rounds * plans.length);
    }
  }
  return measured.map((times) => stepTime(times, rounds));
}

/** Adds one step to what was measured of its plan. Counts are the same in every round, so the first round records them. */
function record({ ms, flops, forwardFlops, peakBytes }: PlanTimes, step: StepMetrics, round: number): void {
  if (step.step <= UNCOUNTED) return;
  at(ms, step.step - 1 - UNCOUNTED).push(step.ms);
  if (round > 0) return;
  flops.push(step.forwardFlops + step.backwardFlops);
  forwardFlops.push(step.forwardFlops);
  peakBytes.push(step.peakBytes);
}

function stepTime({ ms, flops, forwardFlops, peakBytes }: PlanTimes, rounds: number): StepTime {
  return {
    ms: meanOf(ms.map((list) => Math.min(...list))),
    medianMs: meanOf(ms.map(median)),
    roundMs: Array.from({ length: rounds }, (_, round) => meanOf(ms.map((list) => at(list, round)))),
    flops: meanOf(flops),
    forwardFlops: meanOf(forwardFlops),
    peakBytes: Math.max(...peakBytes),
  };
}
