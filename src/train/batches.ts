/** @file From token sequences to batches: rows padded to the longest, next-token targets, segments, positions. */

import { at, EbbError } from '../errors.ts';
import { elementText, type InputData, idOutside, notFinite, outsideText } from '../runtime/inputs.ts';
import type { IdRange, InputDecl, Sizes } from '../runtime/program.ts';
import { type ArrangeOptions, arrange, drawnOrder } from './arrangement.ts';

/** Tokens of an example; `labels[t]` is −100 where token t brings no loss. */
export interface Sequence {
  readonly tokens: Int32Array;
  readonly labels: Int32Array;
}

/** Sequences that need not be in memory: each is made when it is asked for. */
export interface Sequences {
  readonly length: number;
  /** Tokens of a sequence. */
  lengthOf(index: number): number;
  at(index: number): Sequence;
}

/** A list as sequences. */
export const sequencesOf = (list: readonly Sequence[]): Sequences => ({
  length: list.length,
  lengthOf: (index) => at(list, index).tokens.length,
  at: (index) => at(list, index),
});

/** Tokens of each sequence. */
export const lengthsOf = ({ length, lengthOf }: Sequences): Int32Array<ArrayBuffer> => Int32Array.from({ length }, (_, i) => lengthOf(i));

/** What a micro-batch is given. */
export interface Batch {
  /** Run-time dimensions, e.g. B and T. */
  readonly sizes: Sizes;
  /** By name; those that the program does not ask for are left out. */
  readonly inputs: InputData;
  /** Tokens in it without padding, or examples where they have no length. */
  readonly tokens: number;
  /** Targets that count: the weight of its loss in a mean over batches. */
  readonly counted: number;
}

/** Micro-batch `index` of a run, a pure function of it. Every epoch holds each example once; its last batch may be smaller. */
export interface BatchSource {
  at(index: number): Batch;
  /** Every example once, in order; the last batch may be smaller. For evaluation. */
  all(): Batch[];
  /** Micro-batches in an epoch. */
  readonly count: number;
  /** The records of the data that micro-batch `index` holds, from 1. Absent where the data has none, or nobody knows. */
  readonly recordsOf?: ((index: number) => readonly number[]) | undefined;
}

/** Labels of the hub's convention: a token id, or this where nothing is learnt (torch's `ignore_index`). */
const NO_LABEL = -100;

/** @throws EbbError for a token or label that the model does not have, with its place in [rows, length]; masked places may hold anything */
export function checkTokens(where: string, length: number, ids: Int32Array, labels: Int32Array, mask: Int32Array | null, vocabSize: number): void {
  const refuse = (what: string, found: number | undefined, at: number): never => {
    throw new EbbError(
      `${where} holds ${what} ${found} in row ${Math.floor(at / length)} at ${at % length}, the model has tokens 0 to ${vocabSize - 1}${what === 'label' ? ` and ${NO_LABEL} where nothing is learnt` : ''}; use the model's own tokenizer, or a model that has a row for every token`,
    );
  };
  for (let i = 0; i < ids.length; i++) {
    const [id = 0, label = NO_LABEL] = [ids[i], labels[i]];
    if ((id < 0 || id >= vocabSize) && mask?.[i] !== 0) refuse('token', id, i);
    if ((label < 0 || label >= vocabSize) && label !== NO_LABEL) refuse('label', label, i);
  }
}

/** Positions in [rows, length]: those of the row, and from 0 on behind every border between two segments. */
export function positionsIn(length: number, segments: Int32Array): Int32Array {
  const positions = new Int32Array(segments.length);
  for (let i = 0; i < segments.length; i++) {
    const [before = 0, own = 0] = [segments[i - 1], segments[i]];
    const begins = i % length === 0 || (own !== before && own > 0 && before > 0);
    positions[i] = begins ? 0 : at(positions, i - 1) + 1;
  }
  return positions;
}

/**
 * A batch of a language model: token ids, next tokens (negative: no loss), segments (0: padding), positions, each [batch, length], from the
 * hub's convention (labels not shifted). No token is learnt from one of another segment.
 * @param mask segments, or a mask of ones; null: all tokens are of one
 * @param positions default: from 0 on in every segment
 * @throws EbbError as `checkTokens`
 */
export function makeBatch(
  batch: number,
  length: number,
  ids: Int32Array,
  labels: Int32Array,
  mask: Int32Array | null,
  vocabSize: number,
  positions?: Int32Array,
): Batch {
  checkTokens('the batch', length, ids, labels, mask, vocabSize);
  const segments = mask ?? new Int32Array(batch * length).fill(1);
  const targets = new Int32Array(batch * length).fill(NO_LABEL);
  let counted = 0;
  let tokens = 0;
  for (let i = 0; i < ids.length; i++) {
    const [own = 0, after = 0] = [segments[i], segments[i + 1]];
    const isLast = i % length === length - 1 || (own > 0 && after > 0 && own !== after);
    const next = isLast ? NO_LABEL : (labels[i + 1] ?? NO_LABEL);
    targets[i] = next;
    if (next >= 0) counted++;
    if (own !== 0) tokens++;
  }
  // what stands in a masked place does not matter, so any id that the model has will do
  const known = ids.map((id) => (id < 0 || id >= vocabSize ? 0 : id));
  const inputs = { tokens: known, targets, segments, positions: positions ?? positionsIn(length, segments) };
  return { sizes: { B: batch, T: length }, inputs, tokens, counted };
}

/** The first `limit` examples (rows) of `source`'s evaluation, if its inputs are [B, …] each; the last batch may be cut. */
export function limitExamples(source: BatchSource, limit: number): BatchSource {
  return {
    ...source,
    all: () => {
      let left = limit;
      return source.all().flatMap((batch): Batch[] => {
        const rows = Math.min(left, batch.sizes['B'] ?? 1);
        left -= rows;
        return rows === 0 ? [] : [firstRows(batch, rows)];
      });
    },
  };
}

function firstRows(batch: Batch, rows: number): Batch {
  const whole = batch.sizes['B'] ?? 1;
  if (rows === whole) return batch;
  const cut = ([name, data]: [string, InputData[string]]): [string, InputData[string]] => [name, data.subarray(0, (data.length / whole) * rows)];
  const inputs = Object.fromEntries(Object.entries(batch.inputs).map(cut));
  const count = (name: string, counts: (x: number) => boolean): number => (inputs[name] ?? []).filter(counts).length;
  return { sizes: { ...batch.sizes, B: rows }, inputs, tokens: count('segments', (s) => s !== 0), counted: count('targets', (t) => t >= 0) };
}

/** Pads sequences on the right to the longest of them. */
export const collate = (sequences: readonly Sequence[], vocabSize: number, padId: number): Batch =>
  collateRows(
    sequences.map((s) => [s]),
    vocabSize,
    padId,
  );

/** Puts the sequences of each row behind each other, as segments 1, 2, 3, …, and pads rows on the right to the longest of them. */
export function collateRows(rows: readonly (readonly Sequence[])[], vocabSize: number, padId: number): Batch {
  const length = Math.max(2, ...rows.map((row) => row.reduce((sum, { tokens }) => sum + tokens.length, 0)));
  const ids = new Int32Array(rows.length * length).fill(padId);
  const labels = new Int32Array(rows.length * length).fill(NO_LABEL);
  const segments = new Int32Array(rows.length * length);
  rows.forEach((row, r) => {
    let from = r * length;
    row.forEach((s, k) => {
      ids.set(s.tokens, from);
      labels.set(s.labels, from);
      segments.fill(k + 1, from, from + s.tokens.length);
      from += s.tokens.length;
    });
  });
  return makeBatch(rows.length, length, ids, labels, segments, vocabSize);
}

/** How sequences become batches. */
export interface SequenceOptions extends ArrangeOptions {
  readonly vocabSize: number;
  /** What stands behind the end of a shorter row. */
  readonly padId: number;
  /** The record that each sequence is of, from 1. */
  readonly records?: ArrayLike<number> | undefined;
}

/** Batches of sequences: every epoch each sequence once. @throws EbbError where there is no sequence */
export function sequenceBatches(given: readonly Sequence[] | Sequences, options: SequenceOptions): BatchSource {
  const sequences = 'lengthOf' in given ? given : sequencesOf(given);
  if (sequences.length === 0) throw new EbbError('the data holds no example with a token to learn; check the file and the length');
  const { batch, vocabSize, padId, records } = options;
  const { count, rows } = arrange(lengthsOf(sequences), options);
  const some = (from: number, to: number): Sequence[] => Array.from({ length: Math.min(to, sequences.length) - from }, (_, i) => sequences.at(from + i));
  return {
    count,
    ...(records ? { recordsOf: (index: number) => rows(index).flatMap((row) => row.map((i) => at(records, i))) } : {}),
    all: () => Array.from({ length: Math.ceil(sequences.length / batch) }, (_, i) => collate(some(i * batch, (i + 1) * batch), vocabSize, padId)),
    at: (index) =>
      collateRows(
        rows(index).map((row) => row.map((i) => sequences.at(i))),
        vocabSize,
        padId,
      ),
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

/** Ready batches one after the other, over and over. */
export function readyBatches(count: number, at: (step: number) => Batch): BatchSource {
  return { count, at: (index) => at(index % count), all: () => Array.from({ length: count }, (_, i) => at(i)) };
}

/** The same batches in a new order every epoch. */
export function shuffledBatches(source: BatchSource, seed: number): BatchSource {
  const place = drawnOrder(source.count, seed);
  return { ...source, at: (index) => source.at(place(index)) };
}

/**
 * A stream of token ids, `[batch, length + 1]` a step: the inputs are all but the last of each row, the targets all but the first.
 * @throws EbbError when it holds no whole step
 */
export function tokenStream(where: string, ids: Int32Array, batch: number, length: number, range: IdRange | null): BatchSource {
  const size = batch * (length + 1);
  const steps = Math.floor(ids.length / size);
  if (steps === 0 || ids.length % size !== 0)
    throw new EbbError(
      `${where}: holds ${ids.length} tokens, expected steps of ${batch} × ${length + 1}, [batch, length + 1]; give the batch and length it was made for`,
    );
  // tokens are inputs and targets at once
  const least = range && { ...range, least: 0 };
  const outside = least ? idOutside(ids, least) : -1;
  if (least && outside >= 0) throw new EbbError(`${where}: ${outsideText(ids, outside, [ids.length], least)}`);
  const segments = new Int32Array(batch * length).fill(1);
  const positions = positionsIn(length, segments);
  return readyBatches(steps, (step) => {
    const row = (b: number, from: number): Int32Array => ids.subarray(step * size + b * (length + 1) + from, step * size + b * (length + 1) + from + length);
    const rows = (from: number): Int32Array => {
      const out = new Int32Array(batch * length);
      for (let b = 0; b < batch; b++) out.set(row(b, from), b * length);
      return out;
    };
    return {
      sizes: { B: batch, T: length },
      inputs: { tokens: rows(0), targets: rows(1), segments, positions },
      tokens: batch * length,
      counted: batch * length,
    };
  });
}

export interface StepTensor {
  readonly shape: readonly number[];
  readonly data: Int32Array | Uint32Array | Float32Array;
}

/** What reads the tensor of an input. */
type ReadInput = (name: string, dtype: InputDecl['dtype']) => StepTensor | undefined;

/**
 * Batches of any model: for each of its inputs a tensor `[steps, …shape]`; run-time dimensions are read from the shapes.
 * @throws EbbError naming the input that is missing or does not fit, or the two that do not fit each other
 */
export function tensorBatches(where: string, inputs: readonly InputDecl[], read: ReadInput): BatchSource {
  const given = givenInputs(where, inputs, read, 'steps');
  for (const { decl, shape } of given)
    if (shape.length !== decl.extent.of.length + 1) {
      const hint = shape.length === decl.extent.of.length ? `; the first axis counts steps: one step of this is [${[1, ...shape].join(', ')}]` : '';
      throw new EbbError(`${where}: ${decl.name} has shape [${shape.join(', ')}], expected ${shapeText(decl, 'steps')}${hint}`);
    }
  const steps = given.map(({ decl, shape }) => ({ decl, shape, steps: at(shape, 0) }));
  const [first] = steps;
  const other = steps.find((g) => g.steps !== first?.steps);
  if (first && other)
    throw new EbbError(
      `${where}: ${first.decl.name} has ${first.steps} steps (its shape is [${first.shape.join(', ')}]) and ${other.decl.name} has ${other.steps} ([${other.shape.join(', ')}]); expected as many of each input`,
    );
  return stepsOf(where, given, 'steps');
}

/**
 * One batch of any model: for each of its inputs a tensor of the input's own shape, or with a first axis of size 1.
 * @throws EbbError as `tensorBatches`, and for more than one step
 */
export function singleBatch(where: string, inputs: readonly InputDecl[], read: ReadInput): Batch {
  const given = givenInputs(where, inputs, read, 'one');
  for (const { decl, shape } of given) {
    const more = shape.length - decl.extent.of.length;
    const expected = `${decl.name} has shape [${shape.join(', ')}], expected ${shapeText(decl, 'one')}`;
    if (more !== 0 && more !== 1) throw new EbbError(`${where}: ${expected}`);
    if (more === 1 && shape[0] !== 1) throw new EbbError(`${where}: holds ${shape[0]} steps of batches, expected one: ${expected}`);
  }
  return stepsOf(where, given, 'one').at(0);
}

/** Whether tensors have a first axis that counts steps. */
type Leading = 'steps' | 'one';

interface GivenInput extends StepTensor {
  readonly decl: InputDecl;
}

const shapeText = ({ extent }: InputDecl, leading: Leading): string => `[${[...(leading === 'steps' ? ['steps'] : []), ...extent.of].join(', ')}]`;

/** A tensor for each input. @throws EbbError for one that is missing */
function givenInputs(where: string, inputs: readonly InputDecl[], read: ReadInput, leading: Leading): GivenInput[] {
  return inputs.map((decl) => {
    const tensor = read(decl.name, decl.dtype);
    if (tensor) return { ...tensor, decl };
    throw new EbbError(
      `${where}: has no tensor ${decl.name}, expected one for each input of the model: ${inputs.map((i) => `${i.name} ${i.dtype}${shapeText(i, leading)}`).join('; ')}`,
    );
  });
}

/** The size of each run-time dimension. @throws EbbError for an axis of another size, of none, and for inputs that differ in a dimension */
function boundSizes(where: string, given: readonly GivenInput[], leading: Leading): Sizes {
  const bound = new Map<string, { readonly size: number; readonly by: GivenInput }>();
  for (const input of given) {
    const { decl, shape } = input;
    const own = shape.slice(shape.length - decl.extent.of.length);
    const text = `${where}: ${decl.name} has shape [${shape.join(', ')}]`;
    if (shape.includes(0)) throw new EbbError(`${text}, an axis of it is empty; expected ${shapeText(decl, leading)}, none of them 0`);
    for (const [axis, dim] of decl.extent.of.entries()) {
      const size = at(own, axis);
      if (typeof dim === 'number' && size !== dim) throw new EbbError(`${text}, expected ${shapeText(decl, leading)}`);
      if (typeof dim === 'number') continue;
      const known = bound.get(dim) ?? { size, by: input };
      bound.set(dim, known);
      const { by } = known;
      if (by === input && known.size !== size) throw new EbbError(`${text}, expected ${shapeText(decl, leading)} with one ${dim}`);
      if (known.size !== size)
        throw new EbbError(
          `${where}: ${dim} is ${known.size} in ${by.decl.name}, whose shape is [${by.shape.join(', ')}] for ${shapeText(by.decl, leading)}, and ${size} in ${decl.name}, [${shape.join(', ')}] for ${shapeText(decl, leading)}; expected one size in all inputs`,
        );
    }
  }
  return Object.fromEntries([...bound].map(([dim, { size }]) => [dim, size]));
}

/** The steps of inputs whose ranks fit. @throws EbbError for sizes, ids and numbers that do not */
function stepsOf(where: string, given: readonly GivenInput[], leading: Leading): BatchSource {
  const sizes = boundSizes(where, given, leading);
  for (const { decl, shape, data } of given) {
    const { name, dtype, ids } = decl;
    const stray = ids ? idOutside(data, ids) : -1;
    if (ids && stray >= 0) throw new EbbError(`${where}: ${name} ${outsideText(data, stray, shape, ids)}`);
    const broken = dtype === 'f32' ? notFinite(data) : -1;
    if (broken >= 0)
      throw new EbbError(
        `${where}: ${name} holds ${elementText(data, broken, shape)}, expected finite numbers; correct the data (a mask that is added to scores takes a large number such as -1e30 for -inf)`,
      );
  }
  const parts = given.map(({ decl: { name, extent }, shape, data }) => ({
    name,
    data,
    size: shape.slice(shape.length - extent.of.length).reduce((a, b) => a * b, 1),
  }));
  const count = leading === 'steps' ? at(at(given, 0).shape, 0) : 1;
  const tokens = (sizes['B'] ?? 1) * (sizes['T'] ?? 1);
  return readyBatches(count, (step) => ({
    sizes,
    inputs: Object.fromEntries(parts.map(({ name, data, size }) => [name, data.slice(step * size, (step + 1) * size)])),
    tokens,
    counted: 1,
  }));
}
