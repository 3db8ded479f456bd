/** @file The held-out losses of a run: the best of them, and when to stop because they do not get better. */

import { join } from 'node:path';
import { isOfNumbers } from '../errors.ts';
import type { Engine } from '../runtime/execute.ts';
import type { Batch } from '../train/batches.ts';
import type { RunConfig } from '../train/config.ts';
import { evaluate, type TrainState } from '../train/loop.ts';
import type { HeldOutMetrics } from './metrics.ts';
import type { RunRecord } from './record.ts';
import { BEST, trainedMoment } from './results.ts';
import type { Saving } from './saving.ts';

/**
 * Evaluations since the lowest held-out loss. Those that a run does at its end, and where it goes on, are none of them: a run that was ended and goes on has
 * the patience of one that was not.
 */
export function sinceLowest(losses: readonly HeldOutMetrics[], evalEvery: number): number {
  const counted = losses.filter(({ step }) => step > 0 && evalEvery > 0 && step % evalEvery === 0);
  const lowest = Math.min(...counted.flatMap(({ heldOut }) => (Number.isNaN(heldOut) ? [] : [heldOut])));
  const index = counted.findIndex(({ heldOut }) => heldOut === lowest);
  return index < 0 ? 0 : counted.length - 1 - index;
}

/** What held-out losses are computed of, and who is told. */
export interface HeldOutParts {
  readonly config: Pick<RunConfig, 'keepBest' | 'patience' | 'evalEvery' | 'out'>;
  readonly engine: Engine;
  readonly state: TrainState;
  readonly batches: readonly Batch[];
  readonly watched: (done: number, total: number) => void;
  readonly record: Pick<RunRecord, 'heldOut' | 'heldOutLosses'>;
  readonly keepBest: Saving['keepBest'];
  /** The hash of the held-out data: losses on other data are not comparable. */
  readonly evalData: string | undefined;
  readonly say: (text: string) => void;
}

/** The held-out losses of a run that is open. */
export interface HeldOut {
  /** Computes and records the loss; NaN, which is said, where it is no number. */
  evaluate(): Promise<number>;
  /** Does the same, and keeps what is trained where the loss is the lowest so far. */
  compare(): Promise<number>;
  /** Whether the loss has not got lower for as long as the run has patience. */
  isOver(): boolean;
  /** The loss of what is kept as the best; null where nothing is. */
  best(): HeldOutMetrics | null;
}

/** Opens the held-out losses of a run; what its metrics hold counts. */
export function openHeldOut({ config, engine, state, batches, watched, record, keepBest, evalData, say }: HeldOutParts): HeldOut {
  const { evalEvery, patience, out } = config;
  const keeps = config.keepBest && evalEvery > 0;
  /** What is kept and was compared on the same data. */
  const kept = (): HeldOutMetrics | null => {
    const moment = trainedMoment(join(out, BEST));
    return moment && moment.heldOut !== null && moment.evalData === (evalData ?? null) ? { step: moment.step, heldOut: moment.heldOut } : null;
  };
  const compute = (): Promise<number> =>
    evaluate(engine, batches, watched).catch((error: unknown) => {
      if (!isOfNumbers(error)) throw error;
      // what is trained may be right all the same: the run goes on, and says so each time
      say(`held-out data: ${error.message}`);
      return Number.NaN;
    });
  const recorded = async (): Promise<number> => {
    const heldOut = await compute();
    record.heldOut({ step: state.step, heldOut });
    return heldOut;
  };
  let computed: HeldOutMetrics | null = null;
  return {
    evaluate: recorded,
    async compare() {
      if (computed?.step !== state.step) computed = { step: state.step, heldOut: await recorded() };
      const { heldOut } = computed;
      // what was not trained yet is not kept
      if (keeps && state.step > 0 && heldOut < (kept()?.heldOut ?? Number.POSITIVE_INFINITY)) await keepBest(state, heldOut, evalData);
      return heldOut;
    },
    isOver: () => patience !== undefined && sinceLowest(record.heldOutLosses(), evalEvery) >= patience,
    best: () => (keeps ? kept() : null),
  };
}
