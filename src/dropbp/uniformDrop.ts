/** @file The units that a single rate drops, for commands that show a pattern without a run. */

import { drawStream } from './random.ts';
import { bernoulli } from './sampling/bernoulli.ts';

/** Returns the units that the plan `uniform`, with its defaults, drops in the first micro-batch of a step. */
export function uniformDrop(units: readonly string[], rate: number, seed: number, step = 0): string[] {
  const dropped = bernoulli({ rates: units.map(() => rate), costs: [], share: rate, random: drawStream(seed, step, 0) });
  return units.filter((_, i) => dropped[i]);
}
