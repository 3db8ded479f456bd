/** @file A data file as micro-batches: text and records tokenised, ready batches, or tensors for each input of any model. */

import { EbbError } from '../errors.ts';
import { type FieldNames, readBatches } from '../formats/dataset.ts';
import { fileSource } from '../formats/files.ts';
import { openSafetensors, readFloats, readInts } from '../formats/safetensors.ts';
import type { InputDecl } from '../runtime/program.ts';
import { type BatchSource, limitExamples, sequenceBatches, tensorBatches } from '../train/batches.ts';
import { hubSteps, takesSequences, tokenRange, tokenSteps } from './batchFiles.ts';
import type { Preparation } from './prepare.ts';

export interface DataOptions {
  readonly batch: number;
  readonly length: number;
  readonly seed: number;
  readonly shuffle: boolean;
  /** Inputs of the model. */
  readonly inputs: readonly InputDecl[];
  /** Null: not checked. */
  readonly vocabSize: number | null;
  readonly fields: FieldNames;
  /** At most this many examples: records, or sequences of ready batches. */
  readonly limit?: number;
}

export interface LoadedData {
  readonly source: BatchSource;
  /** Of the data itself, where it comes in ready batches. */
  readonly batch: number;
  readonly length: number;
  readonly examples: number;
}

const isSafetensors = (path: string): boolean => path.toLowerCase().endsWith('.safetensors');

/** Whether a file of batches uses the model's own names, not the hub's. */
function namesInputs(path: string, inputs: readonly InputDecl[]): boolean {
  if (!isSafetensors(path)) return false;
  const { tensors } = openSafetensors(path);
  return !tensors.has('input_ids') && inputs.every((i) => tensors.has(i.name));
}

/** A safetensors file with a tensor for each input. */
function inputTensors(path: string, { inputs, limit }: DataOptions): LoadedData {
  if (!isSafetensors(path))
    throw new EbbError(`${path}: expected a safetensors file with a tensor for each input of the model (${inputs.map((i) => i.name).join(', ')}), [steps, …]`);
  const file = openSafetensors(path);
  const source = tensorBatches(path, inputs, (name, dtype) => {
    const shape = file.tensors.get(name)?.shape;
    return shape && { shape, data: dtype === 'f32' ? readFloats(file, name) : readInts(file, name) };
  });
  const { sizes } = source.at(0);
  const batch = sizes['B'] ?? 1;
  // which axis of an input is the batch's is the model's affair: whole batches
  const count = Math.min(source.count, limit === undefined ? source.count : Math.max(1, Math.floor(limit / batch)));
  return { source: { ...source, all: () => source.all().slice(0, count) }, batch, length: sizes['T'] ?? 1, examples: count * batch };
}

/** Sequences of the same length, `batch` at once. */
function sequencesAtOnce(source: BatchSource, batch: number, length: number, limit: number | undefined): LoadedData {
  const examples = source.count * batch;
  if (limit === undefined) return { source, batch, length, examples };
  return { source: limitExamples(source, limit), batch, length, examples: Math.min(limit, examples) };
}

/** Little-endian int32 token ids, `[batch, length + 1]` a step. */
function binaryTokens(path: string, { batch, length, inputs, vocabSize, limit }: DataOptions): LoadedData {
  const file = fileSource(path);
  return sequencesAtOnce(tokenSteps(path, file.read(0, file.size), batch, length, tokenRange(inputs, vocabSize)), batch, length, limit);
}

/** Data whose measures are known, and that may still be tokenised. */
export interface OpenedData {
  /** Largest batch and longest sequence. */
  readonly batch: number;
  readonly length: number;
  /** @throws EbbError naming the file when nothing in it can be learnt */
  readonly loaded: Promise<LoadedData>;
}

/** Data that is read as it lies, or null for what has to be tokenised. */
function readyData(path: string, options: DataOptions): LoadedData | null {
  if (!takesSequences(options.inputs) || namesInputs(path, options.inputs)) return inputTensors(path, options);
  const lower = path.toLowerCase();
  if (lower.endsWith('.bin')) return binaryTokens(path, options);
  if (!/\.(safetensors|json)$/.test(lower)) return null;
  const batches = readBatches(path);
  return sequencesAtOnce(hubSteps(path, batches, tokenRange(options.inputs, options.vocabSize)), batches.batch, batches.length, options.limit);
}

/**
 * Opens training or held-out data.
 * @param tokenizer where the tokenizer is, asked for text and records alone
 * @throws EbbError naming the file when ready batches do not fit the model
 */
export function openData(path: string, tokenizer: () => string, options: DataOptions, preparation: Preparation): OpenedData {
  const ready = readyData(path, options);
  if (ready) return { batch: ready.batch, length: ready.length, loaded: Promise.resolve(ready) };
  const { batch, length, seed, shuffle, fields, limit } = options;
  const vocabSize = tokenRange(options.inputs, options.vocabSize)?.below ?? Number.MAX_SAFE_INTEGER;
  const load = async (): Promise<LoadedData> => {
    const { sequences, padId } = await preparation.tokenise({ path, tokenizer: tokenizer(), length, fields, limit, vocabSize });
    return { source: sequenceBatches(sequences, { batch, seed, shuffle, vocabSize, padId }), batch, length, examples: sequences.length };
  };
  const loaded = load();
  // whoever waits for it is told; nobody may be waiting yet
  loaded.catch(() => undefined);
  return { batch, length, loaded };
}
