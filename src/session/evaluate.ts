/** @file Computes the held-out loss of a model, with or without an adapter. */

import type { FieldNames } from '../data/fieldNames.ts';
import { holdsRecords } from '../data/locate.ts';
import { EbbError, isOfNumbers, option } from '../errors.ts';
import type { Checkpoint } from '../models/checkpoint.ts';
import { trainingMode } from '../models/inputs.ts';
import type { CommandDevice } from '../node/device.ts';
import type { LoadedAdapter } from '../run/adapter.ts';
import { checkPositions } from '../run/batchFiles.ts';
import { checkCounted, openData, readySizes } from '../run/data.ts';
import { type Preparation, prepare } from '../run/prepare.ts';
import { pieces, tell, type Watch } from '../run/progress.ts';
import { USUAL_SIZES } from '../run/runData.ts';
import { evaluate } from '../train/loop.ts';
import { inputDecls, loraOf, openSession, WITHOUT_UPDATES } from './session.ts';

export interface EvalOptions {
  readonly data: string;
  readonly limit: number;
  readonly batch: number;
  readonly length: number;
  /** The names of a record's fields, where they are not the usual ones. */
  readonly fields?: FieldNames | undefined;
  readonly chatTemplate?: string | undefined;
}

export interface EvalReport {
  /** The mean over the tokens that have a label. */
  readonly loss: number;
  readonly perplexity: number;
  readonly examples: number;
  readonly tokens: number;
}

/**
 * Computes the loss of a model on data.
 * @throws EbbError for data that cannot be used or has no label, and for a loss that is no number; the signal's reason where it is aborted
 */
export async function evaluateCheckpoint(
  checkpoint: Checkpoint,
  adapter: LoadedAdapter | null,
  options: EvalOptions,
  device: CommandDevice,
  watch: Watch = {},
): Promise<EvalReport> {
  const preparation = prepare({ onProgress: watch.onProgress });
  try {
    return await evaluateOn(options, checkpoint, adapter, device, preparation, watch);
  } finally {
    preparation.end();
  }
}

async function evaluateOn(
  options: EvalOptions,
  checkpoint: Checkpoint,
  adapter: LoadedAdapter | null,
  device: CommandDevice,
  preparation: Preparation,
  watch: Watch,
): Promise<EvalReport> {
  const { path, config } = checkpoint;
  const { data, batch, length, limit, fields = {}, chatTemplate } = options;
  if (Object.keys(fields).length > 0 && !holdsRecords(data))
    throw new EbbError(
      `${option('fields')}: ${data} holds no records whose fields have names; leave ${option('fields')} out, or give records, such as a file that ends in .jsonl`,
    );
  const inputs = inputDecls(trainingMode(1).inputs);
  const opened = openData(
    data,
    () => path,
    { batch, length, seed: 0, shuffle: false, inputs, vocabSize: config.vocabSize, fields, chatTemplate, limit },
    preparation,
  );
  const note = opened.isReady ? readySizes(data, opened, options, USUAL_SIZES) : null;
  if (note !== null) tell(watch, note);
  checkPositions(data, opened.length, config.maxPosition, `lower ${option('length')}, or give shorter batches`);
  const [session, { source, examples, notes }] = await Promise.all([
    openSession(checkpoint, device, {
      mode: trainingMode(opened.length, { positions: opened.restarts && checkpoint.model.learntPositions }),
      dims: { B: opened.batch, T: opened.length },
      lora: adapter ? loraOf(adapter) : null,
      trains: 'nothing',
      ...WITHOUT_UPDATES,
      onProgress: watch.onProgress,
    }),
    opened.loaded,
  ]);
  for (const one of notes) tell(watch, one);
  const batches = source.all();
  watch.signal?.throwIfAborted();
  checkCounted(data, batches);
  const loss = await evaluate(session.engine, batches, pieces(watch, 'evaluating')).catch((error: unknown) => {
    if (!isOfNumbers(error)) throw error;
    throw new EbbError(`${path}: on ${data} ${error.message}; all weights are finite, so look at how large they are, and at the data`, 'numbers');
  });
  session.engine.destroy();
  const tokens = batches.reduce((sum, b) => sum + b.counted, 0);
  return { loss, perplexity: Math.exp(loss), examples, tokens };
}
