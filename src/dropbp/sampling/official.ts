/** @file `official`: as the reference code draws (github.com/WooSunghyeon/dropbp, `set_dropped_layers`). */

import { bernoulli } from './bernoulli.ts';
import type { Sampler } from './sampler.ts';

/**
 * Each unit on its own; then, as long as fewer than `share` of the units are dropped, by count and not by cost, the one with the
 * highest rate among those left, the first of equals. So units are dropped more often than their rates say, at equal rates the first.
 */
export const official: Sampler = (input) => {
  const { rates, share } = input;
  const dropped = [...bernoulli(input)];
  let count = dropped.filter(Boolean).length;
  for (const i of byRate(rates)) {
    if (count / rates.length >= share) break;
    if (dropped[i]) continue;
    dropped[i] = true;
    count++;
  }
  return dropped;
};

/** Highest first, equals in their order. */
const byRate = (rates: readonly number[]): number[] => rates.map((_, i) => i).sort((a, b) => (rates[b] ?? 0) - (rates[a] ?? 0));
