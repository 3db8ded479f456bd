/** @file Data files as micro-batches, once their bytes are read; the same in Node and in a page. */

import { at, EbbError, option } from '../errors.ts';
import { i32FromBytes } from '../formats/floats.ts';
import type { ReadyBatches } from '../formats/readyBatches.ts';
import { narrowest } from '../runtime/inputs.ts';
import type { IdRange, InputDecl } from '../runtime/program.ts';
import { type Batch, type BatchSource, checkTokens, makeBatch, readyBatches, tokenStream } from '../train/batches.ts';

/** What a language model's batches hold; a model with other inputs takes a tensor for each. */
const SEQUENCE_INPUTS = ['tokens', 'targets', 'segments', 'positions'];

/** Whether a model is given token ids, rather than a tensor for each of its inputs. */
export const takesSequences = (inputs: readonly InputDecl[]): boolean => inputs.every((i) => SEQUENCE_INPUTS.includes(i.name));

/** What token ids may be: those of a language model, or what the inputs of another model say. */
export function tokenRange(inputs: readonly InputDecl[], vocabSize: number | null): IdRange | null {
  return vocabSize === null ? narrowest(inputs) : { least: 0, below: vocabSize, of: 'the model has tokens' };
}

/** How bare token ids are written: little-endian, each in so many bytes. */
const BIN_TYPES = {
  int32: { bytes: 4, read: i32FromBytes },
  uint32: { bytes: 4, read: i32FromBytes },
  uint16: { bytes: 2, read: (bytes: Uint8Array): Int32Array => Int32Array.from(new Uint16Array(bytes.slice().buffer)) },
} as const;
export type BinType = keyof typeof BIN_TYPES;

/** The batches of one size, whose rows hold one token more than a sequence is long. */
type TokenSizes = { readonly batch: number; readonly length: number };

/** @throws EbbError when the bytes hold no whole step, or a token that the model does not have */
function readAs(type: BinType, where: string, bytes: Uint8Array, { batch, length }: TokenSizes, ids: IdRange | null): BatchSource {
  const { bytes: each, read } = BIN_TYPES[type];
  if (bytes.length % each !== 0) throw new EbbError(`${where}: is ${bytes.length} bytes long, expected ${type} token ids, ${each} bytes each`);
  return tokenStream(where, read(bytes), batch, length, ids);
}

/**
 * Bare token ids, little-endian, `[batch, length + 1]` a step. @param type how they are written; where it is not said they are int32
 * @throws EbbError when the bytes hold no whole step, or a token that the model does not have, with the type that would fit
 */
export function tokenSteps(where: string, bytes: Uint8Array, sizes: TokenSizes, ids: IdRange | null, type?: BinType): BatchSource {
  try {
    return readAs(type ?? 'int32', where, bytes, sizes, ids);
  } catch (error) {
    if (type !== undefined || !(error instanceof EbbError) || !fitsAs('uint16', where, bytes, sizes, ids)) throw error;
    throw new EbbError(`${error.message}; its bytes fit as uint16: if they are that, say binType: uint16`, error.code);
  }
}

function fitsAs(type: BinType, where: string, bytes: Uint8Array, sizes: TokenSizes, ids: IdRange | null): boolean {
  try {
    readAs(type, where, bytes, sizes, ids);
    return true;
  } catch (error) {
    if (error instanceof EbbError) return false;
    throw error;
  }
}

/** The sequences of rows that hold several. */
interface RowSequences {
  /** 0 where there is padding. */
  readonly segments: Int32Array;
  readonly positions: Int32Array;
  /** Whether a token has another position than its place in the row. */
  readonly restarts: boolean;
}

/**
 * The sequences of ready batches by `position_ids`: where they start over at 0, the next one begins. What stands in a masked place does not matter.
 * Null where the file holds none. @throws EbbError with row and place of a position that neither starts over nor goes on
 */
export function rowSequences(where: string, { positionIds, attentionMask, length }: ReadyBatches): RowSequences | null {
  if (positionIds === undefined) return null;
  const [segments, positions] = [new Int32Array(positionIds.length), new Int32Array(positionIds.length)];
  let [segment, restarts] = [0, false];
  for (let i = 0; i < positionIds.length; i++) {
    const place = i % length;
    const own = at(positionIds, i);
    if (place === 0) segment = 0;
    if (attentionMask?.[i] === 0) continue;
    const next = place === 0 ? 0 : at(positionIds, i - 1) + 1;
    if (own !== 0 && own !== next)
      throw new EbbError(
        `${where}: position_ids holds ${own} in row ${Math.floor(i / length)} at ${place}, expected ${next === 0 ? 'a row that begins at 0' : `${next}, or 0 where the next sequence begins`}; give positions that count 0, 1, 2, … in each sequence`,
      );
    segment = own === 0 ? segment + 1 : Math.max(1, segment);
    [segments[i], positions[i]] = [segment, own];
    restarts ||= own !== place;
  }
  return { segments, positions, restarts };
}

/** A model's inputs, by which it may be told of several sequences in a row. */
export interface PositionSubject {
  readonly inputs: readonly InputDecl[];
  /** Whether the model knows of two tokens only how far they are from each other, so that positions that start over change nothing. */
  readonly relativePositions?: boolean | undefined;
  /** Whether it is still to be compiled, with positions as an input where its data needs them. */
  readonly canTakePositions?: boolean | undefined;
}

/** @throws EbbError for rows of several sequences where the model counts positions by rows */
export function checkRestarts(where: string, { inputs, relativePositions = false, canTakePositions = false }: PositionSubject): void {
  if (relativePositions || canTakePositions || inputs.some((i) => i.name === 'positions')) return;
  throw new EbbError(
    `${where}: its rows hold several sequences (pack, or position_ids that start over), and the model was not made to be given positions; compile it with ${option('pack')}, or give a definition an input positions i32 [B, T]`,
  );
}

/** Ready batches under the hub's names. @throws EbbError when labels are missing, for a token that the model does not have, and as `rowSequences` */
export function hubSteps(where: string, ready: ReadyBatches, ids: IdRange | null): BatchSource {
  const { labels } = ready;
  if (!labels) throw new EbbError(`${where}: labels are missing, expected them beside input_ids, of the same shape`);
  const vocabSize = ids?.below ?? Number.MAX_SAFE_INTEGER;
  checkTokens(where, ready.length, ready.inputIds, labels, ready.attentionMask, vocabSize);
  const rows = rowSequences(where, ready);
  const mask = rows?.segments ?? ready.attentionMask;
  const size = ready.batch * ready.length;
  return readyBatches(ready.steps, (step): Batch => {
    const part = (data: Int32Array): Int32Array => data.slice(step * size, (step + 1) * size);
    const positions = rows ? part(rows.positions) : undefined;
    return makeBatch(ready.batch, ready.length, part(ready.inputIds), part(labels), mask && part(mask), vocabSize, positions);
  });
}

/** What is to be said of names in a file of batches that are not used; nothing where all are. */
export function unusedNotes(where: string, { unused = [] }: ReadyBatches): readonly string[] {
  return unused.length === 0 ? [] : [`${where}: ${unused.join(', ')}: not used, as it is no part of a batch`];
}

/**
 * @param sizes run-time dimensions of the largest batch
 * @param hints what to do about a batch, and a sequence, that is too large
 * @throws EbbError for data with larger batches or longer sequences than a trainer was compiled for
 */
export function checkBounds(
  where: string,
  sizes: Readonly<Record<string, number>>,
  bounds: Readonly<Record<string, number>>,
  hints: { readonly batch: string; readonly length: string },
): void {
  for (const [name, size] of Object.entries(sizes)) {
    const bound = Object.hasOwn(bounds, name) ? (bounds[name] ?? size) : size;
    if (size <= bound) continue;
    const what = name === 'B' ? `a batch has ${size} sequences` : name === 'T' ? `a sequence has ${size} tokens` : `dimension ${name} is ${size}`;
    const hint = name === 'B' ? hints.batch : name === 'T' ? hints.length : 'give smaller inputs';
    throw new EbbError(`${where}: ${what}, this trainer was compiled for at most ${bound}; ${hint}, or compile for more`);
  }
}

/** @throws EbbError naming the file when its sequences are longer than the model has positions for */
export function checkPositions(where: string, length: number, maxPosition: number | null, hint = 'lower the length'): void {
  if (maxPosition !== null && length > maxPosition)
    throw new EbbError(`${where}: a sequence is ${length} tokens, the model has positions for ${maxPosition}; ${hint}`);
}
