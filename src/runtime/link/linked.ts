/** @file What linking is given and makes, as plain data: where lasting tensors lie, calls with every address, a variant. */

import type { Address } from './address.ts';

export interface Placement {
  /** Address of each parameter, and of its gradient where it is trainable. */
  readonly params: readonly Address[];
  readonly gradients: readonly (Address | null)[];
  readonly states: readonly Address[];
  readonly inputs: readonly Address[];
}

/** One function run at given addresses. */
export interface LinkedCall {
  readonly fn: number;
  /** Index of the call, or -1 for sums of cotangents. */
  readonly call: number;
  readonly phase: 'forward' | 'again' | 'backward' | 'sum';
  /** Address of each slot. */
  readonly slots: readonly Address[];
  /** Whether gradients of weights are added to rather than written. */
  readonly adds: boolean;
  /** Parameters whose gradients are to be zeroed before the step, as this call is the first to add to them. */
  readonly zeroed: readonly number[];
  /** Rows of four, for sums. */
  readonly rows: number;
  readonly footprint: Footprint;
}

/** Bytes of activations in use while a call runs. */
export interface Footprint {
  /** Kept on the stack, what this call keeps included. */
  readonly kept: number;
  /** Scratch above that. */
  readonly frame: number;
  /** Bytes of the slots, in which cotangents lie, and residuals that nothing saves. */
  readonly slots: number;
}

/** A step program for one drop pattern: calls in order, with every address, and the memory they take. */
export interface Variant {
  readonly calls: readonly LinkedCall[];
  /** Bytes of the saved stack at its highest, and with the scratch above it. */
  readonly savedBytes: number;
  readonly stackBytes: number;
  readonly slotBytes: number;
  /** Parameters that get a gradient. */
  readonly touched: ReadonlySet<number>;
  /** Sites whose backward runs. */
  readonly kept: readonly string[];
  /** First call with a backward, or null when nothing trainable receives a gradient. */
  readonly frontier: string | null;
}
