/** @file A data file as micro-batches: tokenised, cut, labelled. */

import { EbbError } from '../errors.ts';
import { type DataRecord, type FieldNames, openDataset } from '../formats/dataset.ts';
import type { Tokenizer } from '../formats/tokenizer.ts';
import { type Batch, type BatchSource, chunkTokens, makeBatch, promptSequence, type Sequence, sequenceBatches } from '../train/batches.ts';

export interface DataOptions {
  readonly batch: number;
  readonly length: number;
  readonly seed: number;
  readonly shuffle: boolean;
  readonly vocabSize: number;
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

/** Opens training or held-out data. @throws EbbError naming the file when nothing in it can be learnt */
export function loadData(path: string, tokenizer: () => Tokenizer, options: DataOptions): LoadedData {
  const dataset = openDataset(path, options.fields);
  const { vocabSize, length } = options;
  if (dataset.kind === 'batches') {
    const ready = dataset.batches;
    const { labels } = ready;
    if (!labels) throw new EbbError(`${path}: labels are missing, expected them beside input_ids, of the same shape`);
    const size = ready.batch * ready.length;
    const at = (index: number): Batch => {
      const from = (index % ready.steps) * size;
      const part = (data: Int32Array): Int32Array => data.slice(from, from + size);
      return makeBatch(ready.batch, ready.length, part(ready.inputIds), part(labels), ready.attentionMask ? part(ready.attentionMask) : null, vocabSize);
    };
    const source: BatchSource = { count: ready.steps, at, all: () => Array.from({ length: ready.steps }, (_, i) => at(i)) };
    return { source, batch: ready.batch, length: ready.length, examples: ready.steps * ready.batch };
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
