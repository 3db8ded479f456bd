/** @file A number that was measured several times, with how far it may be off. */

/** `error`: the standard error of `mean`; null where a single value does not tell. */
export interface Estimate {
  readonly mean: number;
  readonly error: number | null;
}

export const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Mean of independent values, and its standard error sd/√n. NaN for none. */
export function estimate(values: readonly number[]): Estimate {
  const n = values.length;
  const mean = meanOf(values);
  if (n < 2) return { mean, error: null };
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / (n - 1) / n) };
}

/**
 * Ratio of the means of paired values, a over b, and its standard error by the jackknife (Efron 1982): pairs share what makes both large,
 * so their ratio is known better than either.
 */
export function ratioEstimate(a: readonly number[], b: readonly number[]): Estimate {
  const n = a.length;
  const [sumA, sumB] = [a, b].map((list) => list.reduce((s, x) => s + x, 0)) as [number, number];
  const mean = sumA / sumB;
  if (n < 2) return { mean, error: null };
  const without = a.map((x, i) => (sumA - x) / (sumB - (b[i] ?? 0)));
  const middle = meanOf(without);
  const squares = without.reduce((sum, x) => sum + (x - middle) ** 2, 0);
  return { mean, error: Math.sqrt(((n - 1) / n) * squares) };
}
