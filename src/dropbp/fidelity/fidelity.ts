/**
 * @file How far gradients under drop patterns are from the full gradient of the same batch: cosine, bias and variance. They follow from
 * running sums, so that of all samples only the sum of their differences is held in memory.
 *
 * Over samples g′_1 … g′_M of independent patterns, with d_k = g′_k − g:
 * - The bias ‖E g′ − g‖² is the mean of d_j·d_k over pairs j ≠ k, which is (‖Σd‖² − Σ‖d‖²) / (M(M − 1)). This estimate has no bias of its
 *   own, because E d_j·d_k = ‖E d‖² for independent j and k; ‖mean d‖² alone would be too large by 1/M of the variance. A single estimate
 *   may be below 0.
 * - The variance E‖g′ − E g′‖² is (Σ‖d‖² − ‖Σd‖²/M) / (M − 1).
 * Both are divided by ‖g‖².
 */

import { at, invariant } from '../../errors.ts';
import { meanOf } from './estimate.ts';

/** What was found for some parameters on one batch, relative to their full gradient g. */
export interface Fidelity {
  /** Mean cos(g, g′). */
  readonly cosine: number;
  /** ‖E g′ − g‖²/‖g‖². */
  readonly biasSquared: number;
  /** E‖g′ − E g′‖²/‖g‖². */
  readonly variance: number;
}

/** What was found for the parameters of one unit. */
export interface UnitFidelity extends Omit<Fidelity, 'cosine'> {
  /** Mean over the samples in which the unit got a gradient. Null where it never did. */
  readonly cosine: number | null;
  /** Share of the samples in which it got a gradient. */
  readonly kept: number;
}

/** What was found on one batch. */
export interface BatchFidelity {
  /** For all that is trained. A sample without any gradient has the cosine 0. */
  readonly whole: Fidelity;
  /** By group of parameters. Null for a group whose full gradient is zero. */
  readonly groups: readonly (UnitFidelity | null)[];
  /** Mean cos(g′, g₀) over the samples and the full gradients g₀ of other batches. Null where there are no other batches. */
  readonly progress: number | null;
}

/** The full gradient of a batch, and what samples are compared with. Lists are by parameter and have the same length. */
export interface FullGradient {
  readonly full: readonly Float32Array[];
  /** The group of each parameter, 0 to `groups` − 1. */
  readonly groupOf: readonly number[];
  readonly groups: number;
  /** Σ g₀/‖g₀‖ over the full gradients of `others` other batches. */
  readonly directions: { readonly sum: readonly Float32Array[]; readonly others: number } | null;
}

/** Takes the samples of one batch, parameter by parameter. */
export interface FidelitySums {
  /** Takes the gradient of one parameter in the current sample; null counts as zeros. Each parameter is added once a sample. */
  add(param: number, gradient: Float32Array | null): void;
  /** Ends the current sample. */
  next(): void;
  /** @throws Error for fewer than two samples, which have no variance */
  result(): BatchFidelity;
}

export const dot = (a: Float32Array, b: Float32Array): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
};
const total = (list: ArrayLike<number>): number => Array.from(list).reduce((a, b) => a + b, 0);

/** ‖g‖² of each group for a gradient with one array a parameter. */
function groupSquares(gradient: readonly Float32Array[], groupOf: readonly number[], groups: number): Float64Array {
  const squares = new Float64Array(groups);
  gradient.forEach((g, param) => {
    const group = at(groupOf, param);
    squares[group] = at(squares, group) + dot(g, g);
  });
  return squares;
}

/** What is known of the current sample so far. */
interface SampleSums {
  /** ‖g′‖² by group. */
  readonly square: Float64Array;
  /** g·g′ by group. */
  readonly withFull: Float64Array;
  /** g′·Σ g₀/‖g₀‖. */
  withOthers: number;
}

const emptySample = (groups: number): SampleSums => ({ square: new Float64Array(groups), withFull: new Float64Array(groups), withOthers: 0 });

/** One parameter of a sample. Adds d = g′ − g to `sum`, and returns ‖g′‖², g·g′ and ‖d‖². */
function compare(g: Float32Array, gradient: Float32Array | null, sum: Float32Array): { square: number; withFull: number; difference: number } {
  let [square, withFull, difference] = [0, 0, 0];
  for (let i = 0; i < g.length; i++) {
    const [x, y] = [g[i] as number, gradient === null ? 0 : (gradient[i] as number)];
    square += y * y;
    withFull += x * y;
    difference += (y - x) * (y - x);
    sum[i] = (sum[i] as number) + (y - x);
  }
  return { square, withFull, difference };
}

/** Bias and variance of `count` samples, from ‖Σd‖² and Σ‖d‖², relative to ‖g‖². */
function spread(count: number, sumSquared: number, squared: number, full: number): Omit<Fidelity, 'cosine'> {
  return {
    biasSquared: (sumSquared - squared) / (count * (count - 1)) / full,
    variance: (squared - sumSquared / count) / (count - 1) / full,
  };
}

/** Creates the sums of one batch. */
export function fidelitySums({ full, groupOf, groups, directions }: FullGradient): FidelitySums {
  const squares = groupSquares(full, groupOf, groups);
  const norm = Math.sqrt(total(squares));
  /** Σd, one array a parameter. */
  const sums = full.map((g) => new Float32Array(g.length));
  /** Σ‖d‖² by group. */
  const differences = new Float64Array(groups);
  /** Cosines of the samples; for each group those of the samples in which it got a gradient. */
  const cosines: number[] = [];
  const groupCosines: number[][] = Array.from({ length: groups }, () => []);
  const progress: number[] = [];
  let sample = emptySample(groups);
  return {
    add(param, gradient) {
      const group = at(groupOf, param);
      const { square, withFull, difference } = compare(at(full, param), gradient, at(sums, param));
      sample.square[group] = at(sample.square, group) + square;
      sample.withFull[group] = at(sample.withFull, group) + withFull;
      differences[group] = at(differences, group) + difference;
      if (directions && gradient !== null) sample.withOthers += dot(gradient, at(directions.sum, param));
    },
    next() {
      const size = Math.sqrt(total(sample.square));
      cosines.push(size === 0 ? 0 : total(sample.withFull) / (norm * size));
      groupCosines.forEach((list, group) => {
        const square = at(sample.square, group);
        if (square > 0) list.push(at(sample.withFull, group) / Math.sqrt(square * at(squares, group)));
      });
      if (directions) progress.push(size === 0 ? 0 : sample.withOthers / (size * directions.others));
      sample = emptySample(groups);
    },
    result() {
      const count = cosines.length;
      invariant(count >= 2, `${count} samples of a gradient, expected two or more`);
      const sumsSquared = groupSquares(sums, groupOf, groups);
      return {
        whole: { cosine: meanOf(cosines), ...spread(count, total(sumsSquared), total(differences), norm ** 2) },
        groups: groupCosines.map((list, group): UnitFidelity | null => {
          const square = at(squares, group);
          if (square === 0) return null;
          const cosine = list.length === 0 ? null : meanOf(list);
          return { cosine, kept: list.length / count, ...spread(count, at(sumsSquared, group), at(differences, group), square) };
        }),
        progress: directions ? meanOf(progress) : null,
      };
    },
  };
}
