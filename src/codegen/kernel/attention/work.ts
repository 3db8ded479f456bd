/** @file An attention kernel as its schedule is chosen for it. */

export type AttentionKernel = 'forward' | 'queryGradient' | 'keyGradient';

/** Typical sizes. */
export interface AttentionWork {
  readonly kernel: AttentionKernel;
  /** Rows: queries (keys for keyGradient). */
  readonly rows: number;
  /** What each row walks over. */
  readonly others: number;
  readonly headDim: number;
  /** Sets of rows side by side: batch × heads (batch × key heads for keyGradient). */
  readonly sets: number;
}

/** The largest power of two not above `value` up to which all are allowed, at least 1. */
export function powerAtMost(value: number, allowed: (count: number) => boolean = () => true): number {
  let power = 1;
  while (power * 2 <= value && allowed(power * 2)) power *= 2;
  return power;
}

/** Rows of one lane, or of one subgroup, beyond which code grows too long. */
export const MOST_ROWS = 8;
