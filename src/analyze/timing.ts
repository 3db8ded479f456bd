/** @file What steps take: real ones, forward, backward and update, in turns; the learning rate is 0, so that no parameter changes. */

import { meanOf } from '../dropbp/fidelity/estimate.ts';
import type { DropPlanConfig } from '../dropbp/plans/index.ts';
import { newState, type TrainerOptions, train } from '../train/loop.ts';

/** What a plan's steps took. */
export interface StepTime {
  /** Milliseconds of a step: mean over its patterns, of each the least of its rounds, or the median. */
  readonly ms: number;
  readonly medianMs: number;
  /** Mean over the patterns in each round. */
  readonly roundMs: readonly number[];
  /** FLOPs of a step, counted from the same patterns; forward's among them. */
  readonly flops: number;
  readonly forwardFlops: number;
  /** Most bytes that a pattern's activations, residuals and scratch took. */
  readonly peakBytes: number;
}

export interface TimingOptions extends Pick<TrainerOptions, 'engine' | 'config' | 'batches'> {
  readonly plans: readonly DropPlanConfig[];
  /** Steps of each plan: its first patterns, on the first batches. */
  readonly patterns: number;
  /** How often each of them is timed; plans take turns. */
  readonly rounds: number;
  readonly onRound?: (done: number, total: number) => void;
}

/** The first step of a turn waits for nothing ahead of it, and is not counted. */
const UNCOUNTED = 1;

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(at)] ?? Number.NaN) + (sorted[Math.ceil(at)] ?? Number.NaN)) / 2;
};

/** Times steps of plans as a run takes them, with two steps under way. Changes gradients and moments, and no parameter. */
export async function timeSteps({ engine, config, batches, plans, patterns, rounds, onRound }: TimingOptions): Promise<StepTime[]> {
  const times = plans.map(() => Array.from({ length: patterns }, (): number[] => []));
  const counted = plans.map(() => ({ flops: [] as number[], forward: [] as number[], peaks: [] as number[] }));
  const still = { ...config, optimizer: { ...config.optimizer, lr: 0 }, schedule: 'constant', warmupSteps: 0, steps: patterns + UNCOUNTED } as const;
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < plans.length; turn++) {
      // nobody always follows the same other
      const at = (turn + round) % plans.length;
      await train({
        engine,
        batches,
        state: newState(engine),
        config: { ...still, drop: plans[at] ?? { kind: 'none' } },
        onStep: ({ step, ms, forwardFlops, backwardFlops, peakBytes }) => {
          if (step < UNCOUNTED) return;
          times[at]?.[step - UNCOUNTED]?.push(ms);
          if (round > 0) return;
          counted[at]?.flops.push(forwardFlops + backwardFlops);
          counted[at]?.forward.push(forwardFlops);
          counted[at]?.peaks.push(peakBytes);
        },
      });
      onRound?.(round * plans.length + turn + 1, rounds * plans.length);
    }
  }
  return times.map((ofPlan, i): StepTime => {
    const { flops, forward, peaks } = counted[i] ?? { flops: [], forward: [], peaks: [] };
    return {
      ms: meanOf(ofPlan.map((list) => Math.min(...list))),
      medianMs: meanOf(ofPlan.map(median)),
      roundMs: Array.from({ length: rounds }, (_, round) => meanOf(ofPlan.map((list) => list[round] ?? Number.NaN))),
      flops: meanOf(flops),
      forwardFlops: meanOf(forward),
      peakBytes: Math.max(...peaks),
    };
  });
}
