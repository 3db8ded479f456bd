/** @file Counter-based random numbers: pure functions of a seed and integers, so that a resume and every rank draw the same. */

/** The 32-bit finaliser "lowbias32" (C. Wellons, hash-prospector), as `random` in the IR has it. */
export function mix(h: number): number {
  let x = h >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

const after = (h: number, counters: readonly number[]): number => counters.reduce((g, c) => mix((g + (c >>> 0)) >>> 0), h);

/** A u32 from a seed and any number of counters. */
export function hash(seed: number, ...counters: readonly number[]): number {
  return after(mix((seed ^ 0x9e3779b9) >>> 0), counters);
}

/** Uniform in [0, 1), 32 bits. */
export function uniform(seed: number, ...counters: readonly number[]): number {
  return hash(seed, ...counters) / 2 ** 32;
}

/** Numbers uniform in [0, 1) by counters: the same counters, the same number. */
export type Stream = (...counters: readonly number[]) => number;

/** The numbers that the drop pattern of a micro-batch is drawn from. */
export function drawStream(seed: number, step: number, micro: number): Stream {
  const h = hash(seed, 1, step, micro);
  return (...counters) => after(h, counters) / 2 ** 32;
}

/** 0 … n−1 in an order drawn from `stream`, one number a place (Fisher–Yates). */
export function shuffled(n: number, stream: Stream): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(stream(i) * (i + 1));
    const [a, b] = [order[i] as number, order[j] as number];
    order[i] = b;
    order[j] = a;
  }
  return order;
}

/** 0 … n−1 in an order drawn from the seed and counters. */
export function permutation(n: number, seed: number, ...counters: readonly number[]): number[] {
  return shuffled(n, (i) => uniform(seed, ...counters, i));
}
