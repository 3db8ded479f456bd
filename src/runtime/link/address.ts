/** @file Addresses on the device: a buffer and a byte offset in one number. */

/** An address: buffer · 2^40 + byte offset. */
export type Address = number;
const SHIFT = 2 ** 40;
export const address = (buffer: number, offset: number): Address => buffer * SHIFT + offset;
export const bufferOf = (at: Address): number => Math.floor(at / SHIFT);
// not `%`: a remainder of doubles is a library call, and this runs for every binding of every dispatch
export const offsetOf = (at: Address): number => at - Math.floor(at / SHIFT) * SHIFT;

/** Buffers of their own kind; parameters, gradients and optimizer state follow from `FIRST_OTHER`. */
export const BUFFERS = { stack: 0, slots: 1, inputs: 2, results: 3, states: 4 } as const;
export const FIRST_OTHER = 5;
