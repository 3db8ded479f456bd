/** @file What a plan is: data, and a pure function from (seed, step, micro-batch) to the units that get no backward. */

/** What a plan decides from: nothing else, so that the same step drops the same units again. */
export interface PlanInput {
  readonly units: readonly string[];
  readonly seed: number;
  /** Of the optimizer, from 0. */
  readonly step: number;
  /** Within the step, from 0. */
  readonly micro: number;
  readonly microBatches: number;
}

/** The units that get no backward in a micro-batch: a pure function of its input. */
export type Plan = (input: PlanInput) => readonly string[];
