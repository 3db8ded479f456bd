/** @file Numbers that were measured several times, with how far they may be off. */

import { at } from '../../errors.ts';

export interface Estimate {
  readonly mean: number;
  /** The standard error of `mean`. Null for a single value, which does not tell it. */
  readonly error: number | null;
}

export const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** The mean of independent values with its standard error sd/√n. The mean of no values is NaN. */
export function estimate(values: readonly number[]): Estimate {
  const n = values.length;
  const mean = meanOf(values);
  if (n < 2) return { mean, error: null };
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / (n - 1) / n) };
}

/**
 * The ratio Σa/Σb of paired values with its standard error by the jackknife (Efron 1982). What makes both values of a pair large cancels
 * out, so the ratio is known better than either mean.
 */
export function ratioEstimate(a: readonly number[], b: readonly number[]): Estimate {
  const n = a.length;
  const [sumA, sumB] = [a, b].map((list) => list.reduce((s, x) => s + x, 0)) as [number, number];
  const mean = sumA / sumB;
  if (n < 2) return { mean, error: null };
  const without = a.map((x, i) => (sumA - x) / (sumB - at(b, i)));
  const middle = meanOf(without);
  const squares = without.reduce((sum, x) => sum + (x - middle) ** 2, 0);
  return { mean, error: Math.sqrt(((n - 1) / n) * squares) };
}
