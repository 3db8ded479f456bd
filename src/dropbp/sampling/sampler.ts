/** @file What a sampler is: a pure function from drop rates to the units that are dropped now. */

import type { Stream } from '../random.ts';

/** What a sampler draws from. Lists are by unit, in the order of the model. */
export interface Sampling {
  /** Probability with which each unit is to be dropped, 0 to 1. */
  readonly rates: readonly number[];
  /** What each unit's backward costs: FLOPs or milliseconds, any unit of measure, 0 or more. */
  readonly costs: readonly number[];
  /** Least share of the units, by count, that `official` drops. */
  readonly share: number;
  readonly random: Stream;
}

/** For each unit, whether it is dropped. */
export type Sampler = (input: Sampling) => readonly boolean[];
