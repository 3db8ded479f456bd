/** @file A data file as micro-batches: tokenised, cut, labelled; or tensors for each input of any model. */

import { EbbError } from '../errors.ts';
import { type DataRecord, type FieldNames, openDataset } from '../formats/dataset.ts';
import { fileSource } from '../formats/files.ts';
import { openSafetensors, readFloats, readInts } from '../formats/safetensors.ts';
import type { Tokenizer } from '../formats/tokenizer.ts';
import type { InputDecl } from '../runtime/program.ts';
import { type BatchSource, chunkTokens, limitExamples, promptSequence, type Sequence, sequenceBatches, tensorBatches } from '../train/batches.ts';
import { hubSteps, takesSequences, tokenSteps } from './batchFiles.ts';

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
function binaryTokens(path: string, { batch, length, vocabSize, limit }: DataOptions): LoadedData {
  const file = fileSource(path);
  return sequencesAtOnce(tokenSteps(path, file.read(0, file.size), batch, length, vocabSize), batch, length, limit);
}

/** Opens training or held-out data. @throws EbbError naming the file when nothing in it can be learnt */
export function loadData(path: string, tokenizer: () => Tokenizer, options: DataOptions): LoadedData {
  if (!takesSequences(options.inputs) || namesInputs(path, options.inputs)) return inputTensors(path, options);
  if (path.toLowerCase().endsWith('.bin')) return binaryTokens(path, options);
  const dataset = openDataset(path, options.fields);
  const { length } = options;
  const vocabSize = options.vocabSize ?? Number.MAX_SAFE_INTEGER;
  if (dataset.kind === 'batches') {
    const { batches } = dataset;
    return sequencesAtOnce(hubSteps(path, batches, vocabSize), batches.batch, batches.length, options.limit);
  }
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
