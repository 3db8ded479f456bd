/** @file A data file as micro-batches: text and records tokenised, ready batches, or tensors for each input of any model. */

import { EbbError } from '../errors.ts';
import { type FieldNames, readBatches } from '../formats/dataset.ts';
import { fileSource } from '../formats/files.ts';
import { openSafetensors, readFloats, readInts } from '../formats/safetensors.ts';
import type { InputDecl } from '../runtime/program.ts';
import { type BatchSource, limitExamples, type StepTensor, sequenceBatches, tensorBatches } from '../train/batches.ts';
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
  readonly chatTemplate?: string | undefined;
  /** At most this many examples: records, or sequences of ready batches. */
  readonly limit?: number;
  /** The time that chat templates tell. Default: now. */
  readonly now?: Date;
}

export interface LoadedData {
  readonly source: BatchSource;
  /** Of the data itself, where it comes in ready batches. */
  readonly batch: number;
  readonly length: number;
  readonly examples: number;
  /** What a person should know of it. */
  readonly notes: readonly string[];
}

const isSafetensors = (path: string): boolean => path.toLowerCase().endsWith('.safetensors');

/** Whether a file of batches uses the model's own names, not the hub's. */
function namesInputs(path: string, inputs: readonly InputDecl[]): boolean {
  if (!isSafetensors(path)) return false;
  const { tensors } = openSafetensors(path);
  return !tensors.has('input_ids') && inputs.every((i) => tensors.has(i.name));
}

/**
 * What reads the tensors of a model's inputs out of a file that holds these and no others.
 * @throws EbbError for a file of another name or kind, and for a tensor that is no input
 */
export function inputReader(path: string, inputs: readonly InputDecl[]): (name: string, dtype: InputDecl['dtype']) => StepTensor | undefined {
  const names = inputs.map((i) => i.name).join(', ');
  if (!isSafetensors(path))
    throw new EbbError(
      `${path}: its name does not end in .safetensors, expected a safetensors file with a tensor for each input of the model (${names}); if it is one, rename it`,
    );
  const file = openSafetensors(path);
  const other = [...file.tensors.keys()].find((name) => !inputs.some((i) => i.name === name));
  if (other !== undefined) throw new EbbError(`${path}: tensor ${other} is no input of the model, which takes ${names}; leave it out`);
  return (name, dtype) => {
    const shape = file.tensors.get(name)?.shape;
    return shape && { shape, data: dtype === 'f32' ? readFloats(file, name) : readInts(file, name) };
  };
}

/** A safetensors file with a tensor for each input. */
function inputTensors(path: string, { inputs, limit }: DataOptions): LoadedData {
  const source = tensorBatches(path, inputs, inputReader(path, inputs));
  const { sizes } = source.at(0);
  const batch = sizes['B'] ?? 1;
  // which axis of an input is the batch's is the model's affair: whole batches
  const count = Math.min(source.count, limit === undefined ? source.count : Math.max(1, Math.floor(limit / batch)));
  return { source: { ...source, all: () => source.all().slice(0, count) }, batch, length: sizes['T'] ?? 1, examples: count * batch, notes: [] };
}

/** Sequences of the same length, `batch` at once. */
function sequencesAtOnce(source: BatchSource, batch: number, length: number, limit: number | undefined): LoadedData {
  const examples = source.count * batch;
  if (limit === undefined) return { source, batch, length, examples, notes: [] };
  return { source: limitExamples(source, limit), batch, length, examples: Math.min(limit, examples), notes: [] };
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
  /** Whether both are those of the data itself, which comes in ready batches, and not as they were asked for. */
  readonly isReady: boolean;
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
  if (ready) return { batch: ready.batch, length: ready.length, isReady: !path.toLowerCase().endsWith('.bin'), loaded: Promise.resolve(ready) };
  const { batch, length, seed, shuffle, fields, chatTemplate, limit, now } = options;
  const vocabSize = tokenRange(options.inputs, options.vocabSize)?.below ?? Number.MAX_SAFE_INTEGER;
  const load = async (): Promise<LoadedData> => {
    const { sequences, padId, notes } = await preparation.tokenise({ path, tokenizer: tokenizer(), length, fields, chatTemplate, limit, vocabSize, now });
    return { source: sequenceBatches(sequences, { batch, seed, shuffle, vocabSize, padId }), batch, length, examples: sequences.length, notes };
  };
  const loaded = load();
  // whoever waits for it is told; nobody may be waiting yet
  loaded.catch(() => undefined);
  return { batch, length, isReady: false, loaded };
}

/** Sizes of a micro-batch, by the names of keys and flags. */
export interface BatchSizes {
  readonly batch: number;
  readonly length: number;
}

/**
 * What is to be said where data in ready batches decides on sizes that may have been asked for otherwise; null where it agrees.
 * @param asked the sizes that were asked for, or stand for what was not
 * @param usual those that stand where nothing was asked for
 * @throws EbbError for sizes that were asked for and are not those of the data
 */
export function readySizes(where: string, own: BatchSizes, asked: BatchSizes, usual: BatchSizes): string | null {
  // a longest length that is not reached contradicts nothing
  const other = (['batch', 'length'] as const).filter((key) => (key === 'batch' ? asked.batch !== own.batch : asked.length < own.length));
  const wrong = other.filter((key) => asked[key] !== usual[key]);
  const text = `${where}: its ready batches are ${own.batch}${own.length > 1 ? ` × ${own.length}` : ''}`;
  if (wrong.length > 0) throw new EbbError(`${text}, and ${wrong.map((key) => `${key} is ${asked[key]}`).join(' and ')}; leave it out, or make other batches`);
  return other.length === 0 ? null : `${text}, taken as they are; ${other.map((key) => `${key} (${asked[key]})`).join(' and ')} is for data that comes without`;
}
