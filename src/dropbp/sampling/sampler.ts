/** @file A sampler is a pure function from drop rates to the units that are dropped in one micro-batch. */

import type { Stream } from '../random.ts';

/** What a sampler draws from. Lists are by unit, in the order of the model. */
export interface SamplerInput {
  /** The probability with which each unit is to be dropped, 0 to 1. */
  readonly rates: readonly number[];
  /** The cost of each unit's backward, 0 or more, in any one unit of measure such as FLOPs or milliseconds. */
  readonly costs: readonly number[];
  /** The least share of the units, by count, that `official` drops. */
  readonly share: number;
  readonly random: Stream;
}

/** For each unit, whether it is dropped. */
export type Sampler = (input: SamplerInput) => readonly boolean[];
