/** @file Counter-based random numbers: pure functions of a seed and integers, so that a resumed run and every process of a run draw the same numbers. */

import { at } from '../errors.ts';

/** The 32-bit finaliser "lowbias32" (C. Wellons, github.com/skeeto/hash-prospector). The op `random` of the IR uses the same one. */
export function mix(h: number): number {
  let x = h >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

const after = (h: number, counters: readonly number[]): number => counters.reduce((g, c) => mix((g + (c >>> 0)) >>> 0), h);

/** An unsigned 32-bit number from a seed and any number of counters. */
export function hash(seed: number, ...counters: readonly number[]): number {
  return after(mix((seed ^ 0x9e3779b9) >>> 0), counters);
}

/** A number uniform in [0, 1), with 32 random bits. */
export function uniform(seed: number, ...counters: readonly number[]): number {
  return hash(seed, ...counters) / 2 ** 32;
}

/** Gives numbers uniform in [0, 1) by counters; the same counters give the same number. */
export type Stream = (...counters: readonly number[]) => number;

/** First counter of the numbers that patterns are drawn from; other users of the same seed have other counters. */
const PATTERN_DRAWS = 1;

/** The stream that the drop pattern of a micro-batch is drawn from. */
export function drawStream(seed: number, step: number, micro: number): Stream {
  const h = hash(seed, PATTERN_DRAWS, step, micro);
  return (...counters) => after(h, counters) / 2 ** 32;
}

/** The numbers 0 … n−1 in an order drawn from `stream` (Fisher–Yates); each place takes one number of it. */
export function shuffled(n: number, stream: Stream): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(stream(i) * (i + 1));
    [order[i], order[j]] = [at(order, j), at(order, i)];
  }
  return order;
}

/** The numbers 0 … n−1 in an order drawn from the seed and counters. */
export function permutation(n: number, seed: number, ...counters: readonly number[]): number[] {
  return shuffled(n, (i) => uniform(seed, ...counters, i));
}
