/** @file Fidelity of dropped gradients: averaged over all possible samples, the estimates equal the numbers that enumeration of all patterns gives. */

import { estimate, ratioEstimate } from '../../src/dropbp/fidelity/estimate.ts';
import { type BatchFidelity, fidelitySums } from '../../src/dropbp/fidelity/fidelity.ts';
import { inverseWeights } from '../../src/dropbp/weights.ts';

type Vector = readonly [number, number];
/** The Jacobians of a chain x ← x + θ_i·J_i x of three units with two parameters each. */
const J: readonly (readonly [Vector, Vector])[] = [
  [
    [0.5, -0.2],
    [0.3, 0.8],
  ],
  [
    [-0.6, 0.4],
    [0.7, 0.1],
  ],
  [
    [0.2, 0.9],
    [-0.5, 0.3],
  ],
];
const RATES = [0.25, 0.5, 0.6];
const UNITS = RATES.length;

/** Gradients of the units' parameters under a pattern. A dropped unit has none. */
function chainGradient(kept: readonly boolean[], weights: readonly number[]): (Float32Array | null)[] {
  let delta: Vector = [1, -0.7];
  const gradients: (Float32Array | null)[] = J.map(() => null);
  for (let i = UNITS - 1; i >= 0; i--) {
    if (!kept[i]) continue;
    const w = weights[i]!;
    const [[a, b], [c, d]] = J[i]!;
    gradients[i] = Float32Array.of(w * (i + 1) * delta[0], w * (2 - i) * (delta[0] + delta[1]));
    delta = [delta[0] + w * (a * delta[0] + c * delta[1]), delta[1] + w * (b * delta[0] + d * delta[1])];
  }
  return gradients;
}

const PATTERNS = Array.from({ length: 2 ** UNITS }, (_, bits) => {
  const kept = RATES.map((_r, i) => ((bits >> i) & 1) === 1);
  return { kept, probability: RATES.reduce((p, rate, i) => p * (kept[i] ? 1 - rate : rate), 1) };
});
const full = chainGradient([true, true, true], [1, 1, 1]) as Float32Array[];
const reference = { full, groupOf: [0, 1, 2], groups: UNITS, directions: null };
const norm = Math.sqrt(full.reduce((sum, g) => sum + g[0]! ** 2 + g[1]! ** 2, 0));
const flat = (gradient: readonly (Float32Array | null)[]): number[] => gradient.flatMap((g) => [...(g ?? [0, 0])]);

/** Bias and variance of the parameters of `units`, by enumeration of all patterns. */
function exact(weights: readonly number[], units: readonly number[]) {
  const own = (values: readonly number[]): number[] => values.filter((_, i) => units.includes(Math.floor(i / 2)));
  const samples = PATTERNS.map(({ kept, probability }) => ({ probability, g: own(flat(chainGradient(kept, weights))) }));
  const g = own(flat(full));
  const square = g.reduce((sum, x) => sum + x * x, 0);
  const mean = g.map((_, i) => samples.reduce((sum, s) => sum + s.probability * s.g[i]!, 0));
  const distance = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0) / square;
  return { biasSquared: distance(mean, g), variance: samples.reduce((sum, s) => sum + s.probability * distance(s.g, mean), 0) };
}

function measured(patterns: readonly (readonly boolean[])[], weights: readonly number[]): BatchFidelity {
  const sums = fidelitySums(reference);
  for (const kept of patterns) {
    chainGradient(kept, weights).forEach((g, i) => sums.add(i, g));
    sums.next();
  }
  return sums.result();
}

it.each([
  ['without weights', [1, 1, 1], 2],
  ['without weights', [1, 1, 1], 3],
  ['with weights', inverseWeights(RATES), 2],
])('%s: bias and variance are right on average over all draws of %j, %i at a time', (name, weights, count) => {
  // every possible list of `count` patterns, weighted by its probability
  const lists = Array.from({ length: PATTERNS.length ** count }, (_, n) =>
    Array.from({ length: count }, (_u, k) => PATTERNS[Math.floor(n / PATTERNS.length ** k) % PATTERNS.length]!),
  );
  const mean = { biasSquared: 0, variance: 0, unitBias: 0, unitVariance: 0 };
  for (const list of lists) {
    const probability = list.reduce((p, pattern) => p * pattern.probability, 1);
    const { whole, groups } = measured(
      list.map((p) => p.kept),
      weights,
    );
    mean.biasSquared += probability * whole.biasSquared;
    mean.variance += probability * whole.variance;
    mean.unitBias += probability * groups[0]!.biasSquared;
    mean.unitVariance += probability * groups[0]!.variance;
  }
  const [all, lowest] = [exact(weights, [0, 1, 2]), exact(weights, [0])];
  expect(mean.biasSquared).toBeCloseTo(all.biasSquared, 5);
  expect(mean.variance).toBeCloseTo(all.variance, 4);
  expect(mean.unitBias).toBeCloseTo(lowest.biasSquared, 5);
  expect(mean.unitVariance).toBeCloseTo(lowest.variance, 4);
  if (name === 'with weights') expect(all.biasSquared).toBeLessThan(1e-12);
  else expect(all.biasSquared).toBeGreaterThan(0.1);
  expect(all.variance).toBeGreaterThan(0.1);
});

it('counts a gradient that is missing as none, and takes cosines of units where they are kept', () => {
  const { whole, groups } = measured(
    [
      [true, true, true],
      [false, true, true],
      [false, false, false],
    ],
    [1, 1, 1],
  );
  const part = Math.sqrt(1 - (full[0]![0]! ** 2 + full[0]![1]! ** 2) / norm ** 2);
  expect(whole.cosine).toBeCloseTo((1 + part + 0) / 3, 6);
  expect(groups[0]).toMatchObject({ kept: 1 / 3 });
  expect(groups[0]!.cosine).toBeCloseTo(1, 6);
  expect(groups[2]).toMatchObject({ kept: 2 / 3 });
});

it('takes progress from the directions of other batches', () => {
  const direction = full.map((g) => g.map((x) => x / norm));
  const opposite = direction.map((g) => g.map((x) => -x));
  const sums = fidelitySums({ ...reference, directions: { sum: direction.map((g, i) => g.map((x, j) => 2 * x + opposite[i]![j]!)), others: 3 } });
  for (let k = 0; k < 2; k++) {
    full.forEach((g, i) => sums.add(i, g));
    sums.next();
  }
  expect(sums.result().progress).toBeCloseTo(1 / 3, 6);
});

it('knows how far a mean and a ratio may be off', () => {
  expect(estimate([1, 2, 3, 6])).toEqual({ mean: 3, error: Math.sqrt(14 / 3 / 4) });
  expect(estimate([5])).toEqual({ mean: 5, error: null });
  // the ratio of numbers that vary together does not vary
  const ratio = ratioEstimate([2, 4, 8], [1, 2, 4]);
  expect(ratio.mean).toBe(2);
  expect(ratio.error).toBeCloseTo(0, 12);
  expect(ratioEstimate([2, 5, 8], [1, 2, 4]).error).toBeGreaterThan(0.05);
});
