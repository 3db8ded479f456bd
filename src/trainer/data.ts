/** @file A data file as micro-batches: tokenised, cut, labelled; or tensors for each input of any model. */

import { EbbError } from '../errors.ts';
import { type DataRecord, type FieldNames, openDataset, type ReadyBatches } from '../formats/dataset.ts';
import { fileSource } from '../formats/files.ts';
import { i32FromBytes } from '../formats/floats.ts';
import { openSafetensors, readFloats, readInts } from '../formats/safetensors.ts';
import type { Tokenizer } from '../formats/tokenizer.ts';
import type { InputDecl } from '../runtime/program.ts';
import {
  type Batch,
  type BatchSource,
  chunkTokens,
  makeBatch,
  promptSequence,
  readyBatches,
  type Sequence,
  sequenceBatches,
  tensorBatches,
  tokenStream,
} from '../train/batches.ts';

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
  /** Read at most this many records. */
  readonly limit?: number;
}

export interface LoadedData {
  readonly source: BatchSource;
  /** Of the data itself, where it comes in ready batches. */
  readonly batch: number;
  readonly length: number;
  readonly examples: number;
}

/** An example's tokens: loss on the completion and the end-of-text token only. */
function recordSequence(record: DataRecord, tokenizer: Tokenizer, length: number): Sequence | null {
  const end = tokenizer.eosTokenId === null ? [] : [tokenizer.eosTokenId];
  if ('messages' in record) return chatSequence(record.messages, tokenizer, length, end);
  const prompt = record.prompt === null ? [] : tokenizer.encode(record.prompt, { special: true });
  const completion = [...tokenizer.encode(record.completion), ...end];
  if (record.prompt !== null) return promptSequence(prompt, completion, length);
  const tokens = Int32Array.from(completion).slice(0, length);
  return tokens.length > 1 ? { tokens, labels: tokens } : null;
}

/** A conversation: each assistant turn is learnt, found by rendering the conversation up to and with it. */
function chatSequence(messages: readonly { role: string; content: string }[], tokenizer: Tokenizer, length: number, end: readonly number[]): Sequence | null {
  const tokens: number[] = [];
  const labels: number[] = [];
  messages.forEach((message, i) => {
    if (message.role !== 'assistant') return;
    const before = tokenizer.encode(tokenizer.renderChat(messages.slice(0, i), { addGenerationPrompt: true }));
    const whole = tokenizer.encode(tokenizer.renderChat(messages.slice(0, i + 1)));
    for (const id of before.slice(tokens.length)) {
      tokens.push(id);
      labels.push(-100);
    }
    for (const id of whole.slice(tokens.length)) {
      tokens.push(id);
      labels.push(id);
    }
  });
  tokens.push(...end);
  labels.push(...end);
  const cut = { tokens: Int32Array.from(tokens.slice(0, length)), labels: Int32Array.from(labels.slice(0, length)) };
  return cut.labels.slice(1).some((l) => l >= 0) ? cut : null;
}

/** What a language model's batches hold; a model with other inputs takes a tensor for each. */
const SEQUENCE_INPUTS = ['tokens', 'targets', 'segments'];
const takesSequences = (inputs: readonly InputDecl[]): boolean => inputs.every((i) => SEQUENCE_INPUTS.includes(i.name));

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
  const limited = limit === undefined ? source : { ...source, all: () => source.all().slice(0, Math.max(1, limit)) };
  return { source: limited, batch: sizes['B'] ?? 1, length: sizes['T'] ?? 1, examples: source.count * (sizes['B'] ?? 1) };
}

/** Little-endian int32 token ids, `[batch, length + 1]` a step. */
function binaryTokens(path: string, { batch, length, vocabSize }: DataOptions): LoadedData {
  const file = fileSource(path);
  if (file.size % 4 !== 0) throw new EbbError(`${path}: is ${file.size} bytes long, expected int32 token ids, four bytes each`);
  const ids = i32FromBytes(file.read(0, file.size));
  const source = tokenStream(path, ids, batch, length, vocabSize);
  return { source, batch, length, examples: source.count * batch };
}

/** Ready batches under the hub's names. */
function hubBatches(path: string, ready: ReadyBatches, vocabSize: number): LoadedData {
  const { labels } = ready;
  if (!labels) throw new EbbError(`${path}: labels are missing, expected them beside input_ids, of the same shape`);
  const size = ready.batch * ready.length;
  const source = readyBatches(ready.steps, (step): Batch => {
    const part = (data: Int32Array): Int32Array => data.slice(step * size, (step + 1) * size);
    return makeBatch(ready.batch, ready.length, part(ready.inputIds), part(labels), ready.attentionMask ? part(ready.attentionMask) : null, vocabSize);
  });
  return { source, batch: ready.batch, length: ready.length, examples: ready.steps * ready.batch };
}

/** Opens training or held-out data. @throws EbbError naming the file when nothing in it can be learnt */
export function loadData(path: string, tokenizer: () => Tokenizer, options: DataOptions): LoadedData {
  if (!takesSequences(options.inputs) || namesInputs(path, options.inputs)) return inputTensors(path, options);
  if (path.toLowerCase().endsWith('.bin')) return binaryTokens(path, options);
  const dataset = openDataset(path, options.fields);
  const { length } = options;
  const vocabSize = options.vocabSize ?? Number.MAX_SAFE_INTEGER;
  if (dataset.kind === 'batches') return hubBatches(path, dataset.batches, vocabSize);
  const words = tokenizer();
  let sequences: Sequence[];
  if (dataset.kind === 'text') {
    sequences = chunkTokens(words.encode(dataset.text), length);
    if (options.limit !== undefined) sequences = sequences.slice(0, options.limit);
  } else {
    sequences = [];
    let read = 0;
    for (const record of dataset.records()) {
      if (options.limit !== undefined && read++ >= options.limit) break;
      const sequence = recordSequence(record, words, length);
      if (sequence) sequences.push(sequence);
    }
  }
  if (sequences.length === 0) throw new EbbError(`${path}: no example has a token to learn within ${length} tokens; raise the length`);
  const padId = words.padTokenId ?? words.eosTokenId ?? 0;
  return {
    source: sequenceBatches(sequences, { batch: options.batch, seed: options.seed, shuffle: options.shuffle, vocabSize, padId }),
    batch: options.batch,
    length,
    examples: sequences.length,
  };
}
