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

/** What held-out losses say so far. */
export interface BestSoFar {
  /** The lowest after any step; null where there is none. */
  readonly best: HeldOutMetrics | null;
  /** Evaluations since then. */
  readonly since: number;
}

/** The held-out losses of steps, in order. Losses before training are none. */
export function bestSoFar(losses: readonly HeldOutMetrics[]): BestSoFar {
  const trained = losses.filter(({ step }) => step > 0);
  const lowest = Math.min(...trained.flatMap(({ heldOut }) => (Number.isNaN(heldOut) ? [] : [heldOut])));
  const index = trained.findIndex(({ heldOut }) => heldOut === lowest);
  return { best: trained[index] ?? null, since: index < 0 ? 0 : trained.length - 1 - index };
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
  /** The lowest loss, where what is trained was kept with it. */
  best(): HeldOutMetrics | null;
}

/** Opens the held-out losses of a run; what its metrics hold counts. */
export function openHeldOut({ config, engine, state, batches, watched, record, keepBest, say }: HeldOutParts): HeldOut {
  const keeps = config.keepBest && config.evalEvery > 0;
  let sofar = bestSoFar(record.heldOutLosses());
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
  return {
    evaluate: recorded,
    async compare() {
      const last = record.heldOutLosses().at(-1);
      const heldOut = last?.step === state.step ? last.heldOut : await recorded();
      sofar = bestSoFar(record.heldOutLosses());
      if (keeps && sofar.best?.step === state.step && trainedMoment(join(config.out, BEST))?.step !== state.step) await keepBest(state, heldOut);
      return heldOut;
    },
    isOver: () => config.patience !== undefined && sofar.since >= config.patience,
    best: () => (keeps && sofar.best !== null && trainedMoment(join(config.out, BEST))?.step === sofar.best.step ? sofar.best : null),
  };
}
