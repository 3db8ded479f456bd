/** @file Which sequences the rows of a batch hold: every epoch each sequence once, as a pure function of the seed, the epoch and the batch's index. */

import { permutation } from '../dropbp/random.ts';
import { at } from '../errors.ts';
import { byLength, packRows } from './packing.ts';

/** How sequences come into batches. */
export interface ArrangeOptions {
  /** Most rows of a batch. */
  readonly batch: number;
  readonly seed: number;
  /** Whether every epoch has an order of its own. */
  readonly shuffle: boolean;
  /** Rows hold as many sequences as fit into so many tokens; left out: one each. */
  readonly pack?: number | undefined;
  /** Whether sequences of like length share a batch. */
  readonly bucket?: boolean | undefined;
}

/** The sequences of each row of a batch, by their indices. */
export type Rows = readonly (readonly number[])[];

/** The batches of every epoch. The last one of an epoch may have fewer rows. */
export interface Arrangement {
  /** Batches in an epoch. */
  readonly count: number;
  /** Batch `index`, counted over all epochs. */
  rows(index: number): Rows;
}

/** First counters of the orders that are drawn; other users of a run's seed have other counters. */
const SEQUENCE_ORDER = 2;
const BATCH_ORDER = 7;

/** The batches of one epoch. */
type Epoch = (batch: number) => Rows;

/** Arranges sequences in batches. @param lengths tokens of each sequence */
export function arrange(lengths: ArrayLike<number>, options: ArrangeOptions): Arrangement {
  const { batch, seed, shuffle, pack, bucket = false } = options;
  const drawn = (n: number, counter: number, epoch: number): number[] =>
    shuffle ? permutation(n, seed, counter, epoch) : Array.from({ length: n }, (_, i) => i);
  const part = <T>(list: readonly T[], index: number): readonly T[] => list.slice(index * batch, (index + 1) * batch);
  const batchesOf = (rows: number): number => Math.ceil(rows / batch);
  const order = (epoch: number): number[] => drawn(lengths.length, SEQUENCE_ORDER, epoch);
  const single = (indices: readonly number[]): Rows => indices.map((i) => [i]);

  const plain = (epoch: number): Epoch => {
    const own = order(epoch);
    return (index) => single(part(own, index));
  };
  const bucketed = (epoch: number): Epoch => {
    const own = byLength(lengths, order(epoch));
    const batches = drawn(batchesOf(own.length), BATCH_ORDER, epoch);
    return (index) => single(part(own, at(batches, index)));
  };
  const packed =
    (length: number) =>
    (epoch: number): Epoch => {
      const rows = packRows(lengths, length, order(epoch));
      const own = drawn(rows.length, BATCH_ORDER, epoch);
      return (index) => part(own, index).map((row) => at(rows, row));
    };
  const ofEpoch = pack !== undefined ? packed(pack) : bucket ? bucketed : plain;
  // the order of sequences has no part in how many rows they take
  const rows = pack === undefined ? lengths.length : packRows(lengths, pack, order(0)).length;
  const count = batchesOf(rows);
  let known: { readonly epoch: number; readonly batches: Epoch } | null = null;
  return {
    count,
    rows(index) {
      const epoch = Math.floor(index / count);
      known = known?.epoch === epoch ? known : { epoch, batches: ofEpoch(epoch) };
      return known.batches(index % count);
    },
  };
}

/** The places of `count` batches in an order that is drawn for every epoch, by the index over all of them. */
export function drawnOrder(count: number, seed: number): (index: number) => number {
  const { rows } = arrange(Array<number>(count).fill(1), { batch: 1, seed, shuffle: true });
  return (index) => at(at(rows(index), 0), 0);
}
