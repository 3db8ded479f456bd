/** @file Weights of a checkpoint: as headers or a configuration describe them, and what reads them; which of them a configuration needs. */

import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { BLOCKS, type BlockType, dequantise } from './ggmlBlocks.ts';
import { type ExpectedTensor, isComputed, type Layout } from './layout.ts';
import type { AssumedType } from './storedType.ts';

/** What is known of a weight before it is read. */
export interface WeightHeader {
  /** Hugging Face's name. */
  readonly name: string;
  /** Row-major, as in Hugging Face's checkpoints. */
  readonly shape: readonly number[];
  readonly dtype: BlockType;
  /** Bytes of its elements as they are stored. */
  readonly byteLength: number;
}

/** A weight that is read when asked for. */
export interface WeightSource extends WeightHeader {
  /** The file it lies in, where the weights are more than one. */
  readonly file?: string;
  /** Bytes that are read together: a block, or the rows of a head whose rows are stored in another order. */
  readonly unit: number;
  /**
   * Rows in Hugging Face's order, values in the checkpoint's type: all bytes, or `length` from byte `offset` on, both multiples of `unit`.
   * @throws EbbError where they cannot be read
   */
  readonly read: (offset?: number, length?: number) => Uint8Array;
}

/** The values of a weight in f32. */
export function widen(source: WeightSource): Float32Array {
  return dequantise(source.dtype, source.read());
}

/** What of a model's weights is not there. */
export interface MissingWeights {
  /**
   * `configuration`: no tensor has a header either. `header`: less than half of the data is there, as where the first megabytes of a file
   * were fetched. `cut`: more is there, as where a download broke off.
   */
  readonly kind: 'configuration' | 'header' | 'cut';
  /** One sentence that begins with the file and says what it lacks. */
  readonly message: string;
  /** How tensors without a header are taken to be stored; null where all have one. */
  readonly assumed: AssumedType | null;
}

/** Files with at least this share of their data count as broken off, not as fetched for their header. */
const MOST = 0.5;

/** Whether weights of which so many bytes are there were fetched for their header, or broke off. */
export const kindOfCut = (there: number, all: number): 'header' | 'cut' => (there < MOST * all ? 'header' : 'cut');

/** A weight that is described and cannot be read. @param why the error that reading it ends in */
export function unreadable(name: string, shape: readonly number[], dtype: BlockType, why: string): WeightSource {
  const { blockSize, bytesPerBlock } = BLOCKS[dtype];
  const byteLength = (shape.reduce((a, b) => a * b, 1) / blockSize) * bytesPerBlock;
  return {
    name,
    shape,
    dtype,
    byteLength,
    unit: bytesPerBlock,
    read: () => {
      throw new EbbError(why);
    },
  };
}

/** Where errors point: the file all tensors are listed in, and the one the configuration is in. */
export interface Places {
  readonly weights: string;
  readonly config: string;
}

/** A tensor of the files, made into the weight that the model needs. @throws EbbError for a type that holds no weights */
export type Found = (expected: ExpectedTensor) => WeightSource;

/** What was found in a checkpoint. */
export interface FoundTensors {
  /** By the names in the files. */
  readonly tensors: ReadonlyMap<string, Found>;
  /** The names that the files may give a tensor of the model. */
  readonly namesOf: (expected: ExpectedTensor) => readonly string[];
  readonly places: Places;
}

/** What a found tensor becomes. @throws EbbError for another shape than the model needs */
function checkedSource(expected: ExpectedTensor, found: Found, stored: string, places: Places): WeightSource {
  const source = found(expected);
  const { shape, from } = expected;
  if (source.shape.length !== shape.length || source.shape.some((size, i) => size !== shape[i])) {
    throw new EbbError(
      `${places.weights}: tensor ${show(stored)} has shape [${source.shape.join(', ')}], expected [${shape.join(', ')}] (${from} in ${places.config})`,
    );
  }
  return source;
}

/**
 * The tensors that a model needs, out of those found, in the model's order.
 * @throws EbbError for missing ones, other shapes, and ones the model has no place for
 */
export function matchTensors(model: Layout, { tensors, namesOf, places }: FoundTensors): Map<string, WeightSource> {
  const result = new Map<string, WeightSource>();
  const used = new Set<string>();
  for (const expected of model.tensors()) {
    const names = namesOf(expected);
    const [stored, second] = names.filter((name) => tensors.has(name));
    const found = stored === undefined ? undefined : tensors.get(stored);
    if (stored === undefined || !found) {
      throw new EbbError(
        `${places.weights}: tensor ${show(names[0] ?? expected.name)} is missing, but expected by ${places.config}, where ${model.reason(expected)}`,
      );
    }
    if (second !== undefined) throw new EbbError(`${places.weights}: tensor ${show(stored)} is there twice, with and without its prefix (${show(second)})`);
    used.add(stored);
    result.set(expected.name, checkedSource(expected, found, stored, places));
  }
  const extra = [...tensors.keys()].find((name) => !used.has(name) && !isComputed(model, name));
  if (extra !== undefined) throw new EbbError(`${places.weights}: tensor ${show(extra)} has no place in the model that ${places.config} describes`);
  return result;
}
