/** @file Text and records as sequences of tokens: read, tokenised, cut, labelled. The long part of opening data: prepare.ts runs it in a worker. */

import { EbbError } from '../errors.ts';
import { type DataRecord, type FieldNames, openDataset } from '../formats/dataset.ts';
import { openTokenizer, type Tokenizer } from '../tokenizer/open.ts';
import { chunkTokens, promptSequence, type Sequence } from '../train/batches.ts';

/** What is to be tokenised, as plain data. */
export interface SequenceRequest {
  /** Text, or JSONL records. */
  readonly path: string;
  /** Where the tokenizer is: a folder, a tokenizer.json or a GGUF file. */
  readonly tokenizer: string;
  /** Most tokens of a sequence. */
  readonly length: number;
  readonly fields: FieldNames;
  /** At most this many examples. */
  readonly limit?: number | undefined;
  /** Tokens that the model has rows for. */
  readonly vocabSize: number;
}

export interface Tokenised {
  readonly sequences: readonly Sequence[];
  readonly padId: number;
}

/** @throws EbbError for a token that the model has no row for; `what`: the record, or the text, that holds it */
function checkRows(what: string, tokens: Int32Array, words: Tokenizer, vocabSize: number): void {
  const id = tokens.find((t) => t >= vocabSize);
  if (id !== undefined)
    throw new EbbError(
      `${what} holds token ${id} (${JSON.stringify(words.decode([id]))}), and the model has rows for tokens 0 to ${vocabSize - 1}: its tokenizer knows ${words.vocabSize} tokens; resize the model's embedding to at least ${id + 1} rows, or leave the token out of the data`,
    );
}

/** @throws EbbError naming the file when nothing in it can be learnt, for a token the model has no row for, and for a tokenizer that is missing */
export function tokenise({ path, tokenizer, length, fields, limit = Number.POSITIVE_INFINITY, vocabSize }: SequenceRequest): Tokenised {
  const dataset = openDataset(path, fields);
  if (dataset.kind === 'batches') throw new Error(`internal: ${path} holds batches`);
  const words = openTokenizer(tokenizer);
  let sequences: Sequence[] = [];
  if (dataset.kind === 'text') {
    sequences = chunkTokens(words.encode(dataset.text), length);
    if (sequences.length > limit) sequences = sequences.slice(0, limit);
    for (const { tokens } of sequences) checkRows(`${path}: the text`, tokens, words, vocabSize);
  } else {
    let read = 0;
    for (const record of dataset.records()) {
      if (read++ >= limit) break;
      const sequence = recordSequence(record, words, length);
      if (!sequence) continue;
      checkRows(`${path}: record ${read}`, sequence.tokens, words, vocabSize);
      sequences.push(sequence);
    }
  }
  if (sequences.length === 0) throw new EbbError(`${path}: no example has a token to learn within ${length} tokens; raise the length`);
  return { sequences, padId: words.padTokenId ?? words.eosTokenId ?? 0 };
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
