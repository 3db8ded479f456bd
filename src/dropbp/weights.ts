/** @file Inverse-probability weights: the cotangent of a kept branch is multiplied by its weight, so that dropping adds no bias to the gradient. */

import { EbbError } from '../errors.ts';
import { type Stream, uniform } from './random.ts';
import type { Sampler, SamplerInput } from './sampling/sampler.ts';

/**
 * The weight 1/(1−rate) of each unit (Horvitz & Thompson 1952). The gradient is a sum over paths through residual branches. A path is a
 * product of its branches' Jacobians, and a unit enters it at most once. Under independent draws E ∏ kept_i/(1−rate_i) = 1, so the
 * expectation over patterns is the full gradient, also for a unit's own parameters. That does not hold under draws that depend on each
 * other (see `meanPairBias`), nor after clipping or Adam.
 * @throws EbbError for a rate of 1, because such a unit is never kept
 */
export function inverseWeights(rates: readonly number[]): readonly number[] {
  if (rates.some((rate) => rate >= 1))
    throw new EbbError('drop.weights: a rate is 1, expected rates below 1: a unit that is never kept has no weight 1/(1−rate)');
  return rates.map((rate) => 1 / (1 - rate));
}

/** Seed of the draws that biases are estimated from. */
const BIAS_SEED = 0x0b1a5;

/**
 * The bias that weights leave: the mean over all pairs of units of E[kept_i·kept_j]/((1−rate_i)(1−rate_j)) − 1, which is the relative bias
 * of what reaches the gradient through both units of a pair. It is estimated from `draws` draws of a fixed seed; for `bernoulli` it is 0
 * up to the noise of the draws.
 */
export function meanPairBias(sampler: Sampler, input: Omit<SamplerInput, 'random'>, draws = 4096): number {
  const weights = inverseWeights(input.rates);
  const units = weights.length;
  let sum = 0;
  for (let draw = 0; draw < draws; draw++) {
    const random: Stream = (...counters) => uniform(BIAS_SEED, draw, ...counters);
    const dropped = sampler({ ...input, random });
    const kept = weights.map((w, i) => (dropped[i] ? 0 : w));
    const whole = kept.reduce((a, b) => a + b, 0);
    // Σ over pairs of a_i·a_j = ((Σ a)² − Σ a²) / 2
    sum += (whole * whole - kept.reduce((a, b) => a + b * b, 0)) / 2;
  }
  const pairs = (units * (units - 1)) / 2;
  return pairs === 0 ? 0 : sum / draws / pairs - 1;
}
