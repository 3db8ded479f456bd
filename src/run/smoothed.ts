/** @file Losses without the noise of single batches, as curves show them. */

/** Replaces each value by the mean of its neighbours, so that the curve shows through the noise of the batches. */
export function smoothed(values: readonly number[]): number[] {
  const reach = Math.floor(values.length / 40);
  return values.map((_, i) => {
    const part = values.slice(Math.max(0, i - reach), i + reach + 1);
    return part.reduce((a, b) => a + b, 0) / part.length;
  });
}
