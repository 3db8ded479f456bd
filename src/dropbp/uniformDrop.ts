/** @file The units that one rate drops, for those who show a pattern without a run. */

import { drawStream } from './random.ts';
import { bernoulli } from './sampling/bernoulli.ts';

/** What the plan `uniform` drops in the first micro-batch of a step, with its defaults. */
export function uniformDrop(units: readonly string[], rate: number, seed: number, step = 0): string[] {
  const dropped = bernoulli({ rates: units.map(() => rate), costs: [], share: rate, random: drawStream(seed, step, 0) });
  return units.filter((_, i) => dropped[i]);
}
