/** @file A data file as micro-batches: text and records tokenised, ready batches, or tensors for each input of any model. */

import type { FieldNames } from '../data/fieldNames.ts';
import { locateData } from '../data/locate.ts';
import { EbbError } from '../errors.ts';
import { readBatches } from '../formats/batchesFile.ts';
import { fileSource } from '../formats/files.ts';
import { openSafetensors, readFloats, readInts } from '../formats/safetensors.ts';
import type { InputDecl } from '../runtime/program.ts';
import {
  type Batch,
  type BatchSource,
  lengthsOf,
  limitExamples,
  type Sequences,
  type StepTensor,
  sequenceBatches,
  shuffledBatches,
  tensorBatches,
} from '../train/batches.ts';
import { packRows } from '../train/packing.ts';
import { type BinType, hubSteps, rowSequences, takesSequences, tokenRange, tokenSteps, unusedNotes } from './batchFiles.ts';
import { type DataReport, reportLines } from './dataReport.ts';
import type { Preparation } from './prepare.ts';

export interface DataOptions {
  readonly batch: number;
  readonly length: number;
  readonly seed: number;
  /** Left out: as the data is, which comes in an order of its own where it is in ready batches. */
  readonly shuffle?: boolean | undefined;
  /** Whether rows hold several sequences. */
  readonly pack?: boolean;
  /** Whether sequences of like length share a batch. */
  readonly bucket?: boolean;
  /** Inputs of the model. */
  readonly inputs: readonly InputDecl[];
  /** Null: not checked. */
  readonly vocabSize: number | null;
  readonly fields: FieldNames;
  readonly chatTemplate?: string | undefined;
  /** How the token ids of a .bin file are written. */
  readonly binType?: BinType | undefined;
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
  /** What became of its records; ready batches have none. */
  readonly report?: DataReport;
  /** Whether positions start over within rows; default: no. */
  readonly restarts?: boolean;
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
function binaryTokens(path: string, { batch, length, inputs, vocabSize, limit, binType }: DataOptions): LoadedData {
  const file = fileSource(path);
  return sequencesAtOnce(tokenSteps(path, file.read(0, file.size), { batch, length }, tokenRange(inputs, vocabSize), binType), batch, length, limit);
}

/** Data whose measures are known, and that may still be tokenised. */
export interface OpenedData {
  /** Largest batch and longest sequence. */
  readonly batch: number;
  readonly length: number;
  /** Whether both are those of the data itself, which comes in ready batches, and not as they were asked for. */
  readonly isReady: boolean;
  /** Whether positions start over within rows, because they hold several sequences. */
  readonly restarts: boolean;
  /** @throws EbbError naming the file when nothing in it can be learnt */
  readonly loaded: Promise<LoadedData>;
}

/** Data that is read as it lies, or null for what has to be tokenised. */
function readyData(path: string, options: DataOptions): LoadedData | null {
  if (!takesSequences(options.inputs) || namesInputs(path, options.inputs)) return inputTensors(path, options);
  const { kind } = locateData(path);
  if (kind === 'tokens') return binaryTokens(path, options);
  if (kind !== 'batches') return null;
  const batches = readBatches(path);
  const loaded = sequencesAtOnce(hubSteps(path, batches, tokenRange(options.inputs, options.vocabSize)), batches.batch, batches.length, options.limit);
  return { ...loaded, notes: unusedNotes(path, batches), restarts: rowSequences(path, batches)?.restarts ?? false };
}

/** Ready batches in the order that was asked for: their own, unless it is said otherwise. @throws EbbError for what cannot be done with them */
function orderedReady(path: string, ready: LoadedData, { shuffle, seed, pack = false, bucket = false }: DataOptions): LoadedData {
  const wrong = pack ? 'pack' : bucket ? 'bucket' : null;
  if (wrong !== null)
    throw new EbbError(`${wrong}: ${path} holds ready batches, which come as they are; leave ${wrong} out, or give text or records`, 'config');
  const { count } = ready.source;
  if (shuffle === true) return { ...ready, source: shuffledBatches(ready.source, seed) };
  if (shuffle === false || count === 1) return ready;
  return { ...ready, notes: [...ready.notes, `${path}: its ${count} batches are learnt in the order of the file; shuffle: true gives each epoch another`] };
}

/** Says how full packed rows are. */
function packedText(path: string, sequences: Sequences, length: number): string {
  const lengths = lengthsOf(sequences);
  const tokens = lengths.reduce((sum, n) => sum + n, 0);
  const rows = packRows(lengths, length, [...lengths.keys()]).length;
  return `${path}: ${sequences.length} sequences are packed into ${rows} rows of at most ${length} tokens, ${((100 * tokens) / (rows * length)).toFixed(0)} % full`;
}

/**
 * Opens training or held-out data.
 * @param tokenizer where the tokenizer is, asked for text and records alone
 * @throws EbbError naming the file when ready batches do not fit the model
 */
export function openData(path: string, tokenizer: () => string, options: DataOptions, preparation: Preparation): OpenedData {
  const found = readyData(path, options);
  if (found) {
    const ready = orderedReady(path, found, options);
    const { batch, length, restarts = false } = ready;
    return { batch, length, isReady: !path.toLowerCase().endsWith('.bin'), restarts, loaded: Promise.resolve(ready) };
  }
  const { batch, length, seed, shuffle = true, pack = false, bucket = false, fields, chatTemplate, limit, now } = options;
  const vocabSize = tokenRange(options.inputs, options.vocabSize)?.below ?? Number.MAX_SAFE_INTEGER;
  const load = async (): Promise<LoadedData> => {
    const { sequences, padId, records, report } = await preparation.tokenise({
      path,
      tokenizer: tokenizer(),
      length,
      fields,
      chatTemplate,
      limit,
      vocabSize,
      now,
    });
    checkLearnt(path, report);
    const source = sequenceBatches(sequences, { batch, seed, shuffle, bucket, ...(pack ? { pack: length } : {}), vocabSize, padId, records });
    return {
      source,
      batch,
      length,
      examples: sequences.length,
      notes: [...reportLines(report), ...(pack ? [packedText(path, sequences, length)] : [])],
      report,
    };
  };
  const loaded = load();
  // whoever waits for it is told; nobody may be waiting yet
  loaded.catch(() => undefined);
  return { batch, length, isReady: false, restarts: pack, loaded };
}

/** @throws EbbError for data of which no record is learnt, with the reasons */
function checkLearnt(path: string, report: DataReport): void {
  if (report.used > 0) return;
  throw new EbbError([`${path}: nothing of it is learnt`, ...reportLines({ ...report, notes: [] }).map((line) => `  ${line}`)].join('\n'));
}

/** @throws EbbError for held-out data of which no token counts */
export function checkCounted(path: string, batches: readonly Pick<Batch, 'counted'>[]): void {
  if (batches.some(({ counted }) => counted > 0)) return;
  throw new EbbError(`${path}: holds no token that counts in a loss, because all labels are ignored or masked; give data with something to learn`);
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
