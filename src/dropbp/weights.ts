/** @file Inverse-probability weights: what a kept branch's cotangent is multiplied by so that dropping leaves no bias. */

import { EbbError } from '../errors.ts';
import { type Stream, uniform } from './random.ts';
import type { Sampler, Sampling } from './sampling/sampler.ts';

/**
 * 1/(1−rate) for each unit (Horvitz & Thompson 1952). The gradient is a sum over paths of residual branches, each a product of its
 * branches' Jacobians; a unit enters a path at most once. Under independent draws E ∏ kept_i/(1−rate_i) = 1, so the expectation over
 * patterns is the full gradient, a unit's own parameters included. It is not under draws that depend on each other (`meanPairBias`), nor
 * after clipping or Adam.
 * @throws EbbError for a rate of 1, whose unit is never kept
 */
export function inverseWeights(rates: readonly number[]): readonly number[] {
  if (rates.some((rate) => rate >= 1))
    throw new EbbError('drop.weights: a rate is 1, expected rates below 1: a unit that is never kept has no weight 1/(1−rate)');
  return rates.map((rate) => 1 / (1 - rate));
}

/**
 * By how much weights miss: mean over all pairs of units of E[kept_i·kept_j]/((1−rate_i)(1−rate_j)) − 1, the relative bias of what reaches
 * the gradient through both. Estimated over `draws` draws of a fixed seed; 0 up to their noise for `bernoulli`.
 */
export function meanPairBias(sampler: Sampler, input: Omit<Sampling, 'random'>, draws = 4096): number {
  const weights = inverseWeights(input.rates);
  const units = weights.length;
  let sum = 0;
  for (let draw = 0; draw < draws; draw++) {
    const random: Stream = (...counters) => uniform(0x0b1a5, draw, ...counters);
    const dropped = sampler({ ...input, random });
    const kept = weights.map((w, i) => (dropped[i] ? 0 : w));
    const whole = kept.reduce((a, b) => a + b, 0);
    // Σ over pairs of a_i·a_j = ((Σ a)² − Σ a²) / 2
    sum += (whole * whole - kept.reduce((a, b) => a + b * b, 0)) / 2;
  }
  const pairs = (units * (units - 1)) / 2;
  return pairs === 0 ? 0 : sum / draws / pairs - 1;
}
