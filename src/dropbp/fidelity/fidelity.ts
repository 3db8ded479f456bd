/**
 * @file How far gradients with drop patterns are from the full one of the same batch: cosine, bias and variance, from sums that are
 * carried along, so that no more than the sum of the differences is held of the samples.
 *
 * Over samples g′_1 … g′_M of independent patterns, with d_k = g′_k − g:
 * - bias ‖E g′ − g‖²: mean of d_j·d_k over pairs j ≠ k, that is (‖Σd‖² − Σ‖d‖²) / (M(M − 1)). Without bias: E d_j·d_k = ‖E d‖² for
 *   independent j, k, where ‖mean d‖² alone is too large by a share 1/M of the variance. Single estimates may be below 0.
 * - variance E‖g′ − E g′‖²: (Σ‖d‖² − ‖Σd‖²/M) / (M − 1).
 * Both are divided by ‖g‖².
 */

import { meanOf } from './estimate.ts';

/** Gradients by position, one array a parameter; null where a parameter got none, which counts as zeros. */
type Values = Float32Array | null;

/** What was found for some parameters on one batch; relative to the full gradient. */
export interface Fidelity {
  /** Mean cos(g, g′). */
  readonly cosine: number;
  /** ‖E g′ − g‖²/‖g‖². */
  readonly biasSquared: number;
  /** E‖g′ − E g′‖²/‖g‖². */
  readonly variance: number;
}

/** Of one unit. `cosine` is the mean over the samples in which it got a gradient, null where it never did. */
export interface UnitFidelity extends Omit<Fidelity, 'cosine'> {
  readonly cosine: number | null;
  /** Share of the samples in which it got a gradient. */
  readonly kept: number;
}

export interface BatchFidelity {
  /** All that is trained. A sample without any gradient has cosine 0. */
  readonly whole: Fidelity;
  /** By group; null for a group whose full gradient is zero. */
  readonly groups: readonly (UnitFidelity | null)[];
  /** Mean cos(g′, g₀) over the samples and the full gradients g₀ of other batches; null where there are none. */
  readonly progress: number | null;
}

/** The full gradient of a batch, and what the samples are held against. Lists are by parameter, of the same lengths. */
export interface Reference {
  readonly full: readonly Float32Array[];
  /** For each parameter its group, 0 to `groups` − 1. */
  readonly groupOf: readonly number[];
  readonly groups: number;
  /** Σ g₀/‖g₀‖ over the full gradients of `others` other batches. */
  readonly directions: { readonly sum: readonly Float32Array[]; readonly others: number } | null;
}

/** Takes the samples of one batch, parameter by parameter. */
export interface FidelitySums {
  /** The gradient of a parameter in the sample that is being taken; each parameter once a sample. */
  add(param: number, values: Values): void;
  /** Ends the sample. */
  next(): void;
  /** @throws Error for fewer than two samples, of which there is no variance */
  result(): BatchFidelity;
}

export const dot = (a: Float32Array, b: Float32Array): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
};
const total = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

/** Sums of the sample under way, by group. */
interface Sample {
  readonly square: Float64Array;
  readonly withFull: Float64Array;
  withOthers: number;
}

export function fidelitySums({ full, groupOf, groups, directions }: Reference): FidelitySums {
  const sums = full.map((g) => new Float32Array(g.length));
  const squares = new Float64Array(groups);
  full.forEach((g, p) => {
    squares[groupOf[p] as number] = (squares[groupOf[p] as number] as number) + dot(g, g);
  });
  const norm = Math.sqrt(total([...squares]));
  /** Σ‖d‖² over the samples, by group. */
  const differences = new Float64Array(groups);
  const cosines: number[] = [];
  const ofGroups: number[][] = Array.from({ length: groups }, () => []);
  const progress: number[] = [];
  const empty = (): Sample => ({ square: new Float64Array(groups), withFull: new Float64Array(groups), withOthers: 0 });
  let sample = empty();
  return {
    add(param, values) {
      const [g, sum] = [full[param] as Float32Array, sums[param] as Float32Array];
      const group = groupOf[param] as number;
      let [square, withFull, difference] = [0, 0, 0];
      for (let i = 0; i < g.length; i++) {
        const [x, y] = [g[i] as number, values === null ? 0 : (values[i] as number)];
        square += y * y;
        withFull += x * y;
        difference += (y - x) * (y - x);
        sum[i] = (sum[i] as number) + (y - x);
      }
      sample.square[group] = (sample.square[group] as number) + square;
      sample.withFull[group] = (sample.withFull[group] as number) + withFull;
      differences[group] = (differences[group] as number) + difference;
      if (directions && values !== null) sample.withOthers += dot(values, directions.sum[param] as Float32Array);
    },
    next() {
      const size = Math.sqrt(total([...sample.square]));
      cosines.push(size === 0 ? 0 : total([...sample.withFull]) / (norm * size));
      ofGroups.forEach((list, i) => {
        const square = sample.square[i] as number;
        if (square > 0) list.push((sample.withFull[i] as number) / Math.sqrt(square * (squares[i] as number)));
      });
      if (directions) progress.push(size === 0 ? 0 : sample.withOthers / (size * directions.others));
      sample = empty();
    },
    result() {
      const count = cosines.length;
      if (count < 2) throw new Error(`internal: ${count} samples of a gradient, expected two or more`);
      const biases = new Float64Array(groups);
      sums.forEach((sum, p) => {
        biases[groupOf[p] as number] = (biases[groupOf[p] as number] as number) + dot(sum, sum);
      });
      const spread = (sumSquared: number, squared: number, of: number): Omit<Fidelity, 'cosine'> => ({
        biasSquared: (sumSquared - squared) / (count * (count - 1)) / of,
        variance: (squared - sumSquared / count) / (count - 1) / of,
      });
      return {
        whole: { cosine: meanOf(cosines), ...spread(total([...biases]), total([...differences]), norm ** 2) },
        groups: ofGroups.map((list, i) => {
          const square = squares[i] as number;
          if (square === 0) return null;
          const cosine = list.length === 0 ? null : meanOf(list);
          return { cosine, kept: list.length / count, ...spread(biases[i] as number, differences[i] as number, square) };
        }),
        progress: directions ? meanOf(progress) : null,
      };
    },
  };
}
