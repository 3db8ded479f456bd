/** @file `ebb eval`: the held-out loss of a model, with or without an adapter. */

import { openCheckpoint } from '../formats/checkpoint.ts';
import type { FieldNames } from '../formats/dataset.ts';
import { trainingMode } from '../models/inputs.ts';
import type { CommandDevice } from '../node/device.ts';
import { inputDecls, loraOf, openSession } from '../session.ts';
import { evaluate } from '../train/loop.ts';
import { loadAdapter } from '../trainer/adapter.ts';
import { checkPositions } from '../trainer/batchFiles.ts';
import { loadData } from '../trainer/data.ts';
import { piecePrinter } from '../trainer/progress.ts';
import { modelPath } from './model.ts';

export interface EvalOptions {
  readonly data: string;
  readonly adapter?: string | undefined;
  readonly limit: number;
  readonly batch: number;
  readonly length: number;
  /** Names of a record's fields, where they are not the usual ones. */
  readonly fields?: FieldNames;
}

export interface EvalReport {
  /** Mean over the tokens that count. */
  readonly loss: number;
  readonly perplexity: number;
  readonly examples: number;
  readonly tokens: number;
}

export async function runEval(model: string, options: EvalOptions, device: CommandDevice): Promise<EvalReport> {
  const path = await modelPath(model);
  const checkpoint = openCheckpoint(path);
  const adapter = options.adapter === undefined ? null : loadAdapter(options.adapter);
  const data = loadData(options.data, checkpoint.tokenizer, {
    batch: options.batch,
    length: options.length,
    seed: 0,
    shuffle: false,
    inputs: inputDecls(trainingMode(1).inputs),
    vocabSize: checkpoint.config.vocabSize,
    fields: options.fields ?? {},
    limit: options.limit,
  });
  checkPositions(options.data, data.length, checkpoint.config.maxPosition, 'lower --length, or give shorter batches');
  const session = await openSession(path, device, {
    mode: trainingMode(data.length),
    dims: { B: data.batch, T: data.length },
    lora: adapter ? loraOf(adapter) : null,
    trains: 'nothing',
    micros: 1,
    optimizer: 'none',
    decay: 'matrices',
    seed: 0,
  });
  const batches = data.source.all();
  const progress = piecePrinter('evaluating');
  const loss = await evaluate(session.engine, batches, progress.at);
  progress.end();
  session.engine.destroy();
  return { loss, perplexity: Math.exp(loss), examples: data.examples, tokens: batches.reduce((sum, b) => sum + b.counted, 0) };
}
