/**
 * @file What a run leaves on the disk while it goes on: checkpoints, each with what was trained until then, which is the run's result, and the best by
 * held-out loss. A disk that takes no more ends no run before its end.
 */

import { join } from 'node:path';
import { EbbError } from '../errors.ts';
import { bytesText } from '../formats/bytes.ts';
import { discard, fileError } from '../formats/files.ts';
import type { Engine } from '../runtime/execute.ts';
import type { TrainState } from '../train/loop.ts';
import type { TrainableModel } from '../train/model.ts';
import { checkpointName, checkpointPath } from './checkpointNames.ts';
import { checkpointBytes, kindsOf, ownCheckpoints, removeOldest, writeCheckpoint } from './checkpoints.ts';
import type { Claim } from './lock.ts';
import { tell, type Watch } from './progress.ts';
import { writeResult } from './result.ts';
import { BEST, momentMetadata, publish, RESULT, type TrainedMoment } from './results.ts';
import { checkSpace, freeBytes } from './space.ts';
import type { ResultDtype } from './trainedPieces.ts';
import type { DiskWeights } from './weights.ts';
import { whileSaving } from './whileSaving.ts';

/** Checkpoints that are kept: should the newest turn out to be broken, there is one before it. */
const KEPT = 2;
/** Bytes of a checkpoint besides tensors: configs and tokenizers. */
const BESIDE = 2 ** 16;

/** What a run saves, and where. */
export interface SavingParts {
  readonly folder: string;
  /** The identity of the run. */
  readonly run: string;
  readonly engine: Engine;
  readonly model: Pick<TrainableModel, 'about'>;
  readonly weights: DiskWeights;
  readonly dtype: ResultDtype;
  readonly claim: Pick<Claim, 'check'> | undefined;
  /** Writes the files that the folder began with, where they are gone; returns whether they were. */
  readonly restore: () => boolean;
  readonly watch: Pick<Watch, 'onProgress'>;
}

export interface Saving {
  /** Checks that the disk takes what the run is to leave. @param keepsBest whether the best is kept besides @throws EbbError where it takes not even one checkpoint */
  checkSpace(keepsBest: boolean): void;
  /** Writes a checkpoint and the result; where they cannot be written, that is said, and the run goes on. */
  save(state: TrainState): Promise<void>;
  /** Writes the last checkpoint of a run, and its result. @throws EbbError where they cannot be written */
  finish(state: TrainState): Promise<void>;
  /** The type of what was written last, as config.json calls it; null where this run wrote none. */
  dtype(): string | null;
  /** Keeps what is trained as the best so far. */
  keepBest(state: TrainState, heldOut: number, evalData: string | undefined): Promise<void>;
}

/** Whether an error says that a file cannot be written. */
const isOfFiles = (error: unknown): error is EbbError => error instanceof EbbError && error.code === 'file';

const momentOf = ({ step }: TrainState): TrainedMoment => ({ step, heldOut: null, evalData: null });

/** What a run leaves. @param saved the step whose checkpoint is there already */
export function openSaving({ folder, run, engine, model, weights, dtype, claim, restore, watch }: SavingParts, saved: number | undefined): Saving {
  const say = (text: string): void => tell(watch, text);
  const trained = engine.program.params.reduce((sum, p) => sum + (p.trainable ? p.shape.reduce((a, b) => a * b, 4) : 0), 0);
  const each = checkpointBytes(engine) + trained + BESIDE;
  let last = saved;
  const result = join(folder, RESULT);

  let written: string | null = null;
  const writeTrained = async (to: string, moment: TrainedMoment, read = whileSaving(engine, watch, `writing ${to}`, ['params'])): Promise<void> => {
    written = await writeResult(to, read, model.about, weights, dtype, momentMetadata(moment));
  };

  /** Removes all but the newest checkpoint where the disk would not take another. @throws EbbError where that is not enough */
  const makeRoom = (): void => {
    const needed = (): string | null => {
      const free = freeBytes(folder);
      return free === null || free >= each ? null : `the disk of ${folder} has ${bytesText(free)} free, and a checkpoint takes ${bytesText(each)}`;
    };
    if (needed() === null) return;
    if (ownCheckpoints(folder, run).length > 1) removeOldest(folder, run, 1);
    const lacks = needed();
    if (lacks !== null) throw new EbbError(lacks, 'file');
  };

  /** Makes a folder hold what was trained, which lies in another. */
  const show = (from: string, to: string): void => {
    try {
      publish(from, to);
    } catch (error) {
      throw fileError(to, error);
    }
  };

  const write = async (state: TrainState): Promise<void> => {
    claim?.check();
    if (restore()) say(`${folder}: is not what it was: it was moved, or emptied; the run goes on, and writes it anew`);
    const trained = join(checkpointPath(folder, checkpointName(state.step)), RESULT);
    // saving a step again would take its checkpoint away for a moment
    if (state.step !== last) {
      makeRoom();
      state.updates = await engine.readUpdates();
      const read = whileSaving(engine, watch, `saving step ${state.step}`, [...kindsOf(engine), 'params']);
      await writeCheckpoint(folder, { engine: read, state, run, result: (aside) => writeTrained(join(aside, RESULT), momentOf(state), read) });
      last = state.step;
    }
    // where another process wrote the checkpoint, nobody knows what has become of its files since
    if (last === saved) await writeTrained(result, momentOf(state));
    else show(trained, result);
    removeOldest(folder, run, KEPT);
  };

  return {
    dtype: () => written,
    checkSpace: (keepsBest) => checkSpace(folder, each, (KEPT + 1) * each + (keepsBest ? 2 * trained : 0), say),
    async save(state) {
      try {
        await write(state);
      } catch (error) {
        if (!isOfFiles(error)) throw error;
        say(`step ${state.step}: no checkpoint is written (${error.message}); the run goes on, and writes the next one`);
      }
    },
    async finish(state) {
      try {
        await write(state);
      } catch (error) {
        if (!isOfFiles(error)) throw error;
        // what was trained is smaller than a checkpoint, and worth more
        await writeTrained(result, momentOf(state)).catch(() => {
          throw error;
        });
        throw new EbbError(`${error.message}; what was trained in ${state.step} steps is written (${result}), but the run cannot go on from there`, 'file');
      }
    },
    async keepBest({ step }, heldOut, evalData) {
      const aside = join(folder, `${BEST}.partial`);
      try {
        claim?.check();
        await writeTrained(aside, { step, heldOut, evalData: evalData ?? null });
        show(aside, join(folder, BEST));
      } catch (error) {
        if (!isOfFiles(error)) throw error;
        say(`step ${step}: the best so far cannot be kept (${error.message})`);
      } finally {
        discard(aside);
      }
    },
  };
}
