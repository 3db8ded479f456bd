/** @file `official`: draws as the reference code does (github.com/WooSunghyeon/dropbp, `set_dropped_layers`). */

import { at } from '../../errors.ts';
import { bernoulli } from './bernoulli.ts';
import type { Sampler } from './sampler.ts';

/**
 * Draws each unit on its own. While fewer than `share` of the units are dropped, by count and not by cost, it then drops the unit with the
 * highest rate among those left, the first of equals. So units are dropped more often than their rates say; at equal rates this favours
 * the first units.
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

/** Indices of the rates from high to low; equal rates stay in their order. */
const byRate = (rates: readonly number[]): number[] => rates.map((_, i) => i).sort((a, b) => at(rates, b) - at(rates, a));
