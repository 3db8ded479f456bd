/** @file What a plan is: data, and a pure function from (seed, step, micro-batch) to the units that get no backward. */

export interface PlanInput {
  readonly units: readonly string[];
  readonly seed: number;
  /** Of the optimizer, from 0. */
  readonly step: number;
  /** Within the step, from 0. */
  readonly micro: number;
  readonly microBatches: number;
}

export type Plan = (input: PlanInput) => readonly string[];
