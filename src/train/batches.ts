/** @file From token sequences to batches: order by seed and epoch, padding to the longest, next-token targets. */

import { permutation } from '../dropbp/random.ts';
import { EbbError } from '../errors.ts';
import type { InputData } from '../runtime/execute.ts';
import type { Sizes } from '../runtime/program.ts';

/** Tokens of an example; `labels[t]` is −100 where token t brings no loss. */
export interface Sequence {
  readonly tokens: Int32Array;
  readonly labels: Int32Array;
}

/** What a micro-batch is given. */
export interface Batch {
  /** Run-time dimensions, e.g. B and T. */
  readonly sizes: Sizes;
  /** By name; those that the program does not ask for are left out. */
  readonly inputs: InputData;
  /** Tokens in it, or examples where they have no length. */
  readonly tokens: number;
  /** Targets that count: the weight of its loss in a mean over batches. */
  readonly counted: number;
}

/** Micro-batch `index` of a run, a pure function of it. */
export interface BatchSource {
  at(index: number): Batch;
  /** Every example once, in order; the last batch may be smaller. For evaluation. */
  all(): Batch[];
  /** Micro-batches in an epoch. */
  readonly count: number;
}

/**
 * A batch of a language model: token ids, next tokens (negative: no loss), segments (0: padding), each [batch, length], from the hub's
 * convention (labels not shifted). @throws EbbError for a token the model does not have
 */
export function makeBatch(batch: number, length: number, ids: Int32Array, labels: Int32Array, mask: Int32Array | null, vocabSize: number): Batch {
  const targets = new Int32Array(batch * length).fill(-100);
  let counted = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] ?? 0;
    if (id < 0 || id >= vocabSize) throw new EbbError(`the batch holds token ${id}, the model has tokens 0 to ${vocabSize - 1}; use the model's own tokenizer`);
    if (i % length === length - 1) continue;
    const next = labels[i + 1] ?? -100;
    if (next >= vocabSize) throw new EbbError(`the batch holds label ${next}, the model has tokens 0 to ${vocabSize - 1}; use the model's own tokenizer`);
    targets[i] = next < 0 ? -100 : next;
    if (next >= 0) counted++;
  }
  const segments = mask ?? new Int32Array(batch * length).fill(1);
  return { sizes: { B: batch, T: length }, inputs: { tokens: ids, targets, segments }, tokens: batch * length, counted };
}

/** Pads sequences on the right to the longest of them. */
export function collate(sequences: readonly Sequence[], vocabSize: number, padId: number): Batch {
  const length = Math.max(2, ...sequences.map((s) => s.tokens.length));
  const ids = new Int32Array(sequences.length * length).fill(padId);
  const labels = new Int32Array(sequences.length * length).fill(-100);
  const mask = new Int32Array(sequences.length * length);
  sequences.forEach((s, i) => {
    ids.set(s.tokens, i * length);
    labels.set(s.labels, i * length);
    mask.fill(1, i * length, i * length + s.tokens.length);
  });
  return makeBatch(sequences.length, length, ids, labels, mask, vocabSize);
}

/** Batches of sequences, in a new order every epoch when `shuffle`. The last ones of an epoch wrap around. */
export function sequenceBatches(
  sequences: readonly Sequence[],
  options: { batch: number; seed: number; shuffle: boolean; vocabSize: number; padId: number },
): BatchSource {
  if (sequences.length === 0) throw new EbbError('the data holds no example with a token to learn; check the file and the length');
  const count = Math.max(1, Math.floor(sequences.length / options.batch));
  let epoch = -1;
  let order: readonly number[] = [];
  return {
    count,
    all: () =>
      Array.from({ length: Math.ceil(sequences.length / options.batch) }, (_, i) =>
        collate(sequences.slice(i * options.batch, (i + 1) * options.batch), options.vocabSize, options.padId),
      ),
    at(index) {
      const wanted = Math.floor(index / count);
      if (wanted !== epoch) {
        epoch = wanted;
        order = options.shuffle ? permutation(sequences.length, options.seed, 2, epoch) : sequences.map((_, i) => i);
      }
      const from = (index % count) * options.batch;
      const chosen = Array.from({ length: options.batch }, (_, k) => sequences[order[(from + k) % sequences.length] ?? 0] as Sequence);
      return collate(chosen, options.vocabSize, options.padId);
    },
  };
}

/** Cuts one long run of tokens into sequences of `length`, all of whose tokens bring loss. */
export function chunkTokens(tokens: readonly number[], length: number): Sequence[] {
  const out: Sequence[] = [];
  for (let from = 0; from + 1 < tokens.length; from += length) {
    const part = Int32Array.from(tokens.slice(from, from + length));
    if (part.length > 1) out.push({ tokens: part, labels: part });
  }
  return out;
}

/** A prompt without loss, a completion with; cut at `length`. Null when no token of the completion is left. */
export function promptSequence(prompt: readonly number[], completion: readonly number[], length: number): Sequence | null {
  const tokens = Int32Array.from([...prompt, ...completion]).slice(0, length);
  const labels = Int32Array.from(tokens);
  labels.fill(-100, 0, Math.min(prompt.length, tokens.length));
  return labels.slice(1).some((l) => l >= 0) ? { tokens, labels } : null;
}
