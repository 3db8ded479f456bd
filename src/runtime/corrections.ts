/**
 * @file What AdamW divides its moments by after t updates, 1 − β₁ᵗ and √(1 − β₂ᵗ), as a table on the device: how many updates there were is
 * counted there. The table has two levels, single updates and whole periods of them, which a kernel puts together; numbers of the first period
 * are the nearest f32 of those in f64, later ones are off by a few units in the last place.
 */

/** Floats from one group's number to the next, so that each starts where a binding may. */
export const COLUMNS = 64;

const PERIOD = 2 ** 12;

/** The largest count, as far as the table goes and f32 counts one by one: 2²⁴ − 1. What counts stays there. */
export const MOST_UPDATES = PERIOD ** 2 - 1;

/** Where the parts of the table start, in floats: for single updates 1 − β₁ᵗ, 1 − β₂ᵗ and √(1 − β₂ᵗ), for whole periods 1 − β₁ᵗ and 1 − β₂ᵗ. */
export const CORRECTIONS = {
  period: PERIOD,
  single1: 0,
  single2: PERIOD,
  singleSqrt2: 2 * PERIOD,
  periodic1: 3 * PERIOD,
  periodic2: 4 * PERIOD,
  length: 5 * PERIOD,
} as const;

/** The table of two rates. */
export function correctionTable(beta1: number, beta2: number): Float32Array {
  const { single1, single2, singleSqrt2, periodic1, periodic2, length } = CORRECTIONS;
  const table = new Float32Array(length);
  for (let i = 0; i < PERIOD; i++) {
    table[single1 + i] = 1 - beta1 ** i;
    table[single2 + i] = 1 - beta2 ** i;
    table[singleSqrt2 + i] = Math.sqrt(1 - beta2 ** i);
    table[periodic1 + i] = 1 - beta1 ** (i * PERIOD);
    table[periodic2 + i] = 1 - beta2 ** (i * PERIOD);
  }
  return table;
}
