/** @file What an allocation is: drop rates from sensitivities and costs, for a share of the cost that is to be left out. */

import { EbbError } from '../../errors.ts';

/** What rates are made from. Lists are by unit, in the order of the model. */
export interface Allocation {
  /** How much the gradient changes when the unit alone is dropped; any scale. */
  readonly sensitivities: readonly number[];
  /** What each unit's backward costs: FLOPs or milliseconds, any unit of measure, 0 or more. */
  readonly costs: readonly number[];
  /** Share of the whole cost that is to be left out on average, 0 to 1. */
  readonly rate: number;
  /** No unit is dropped more rarely than this. */
  readonly minRate: number;
}

/** For each unit the probability with which it is dropped. @throws EbbError where no rates reach the target */
export type Allocate = (input: Allocation) => readonly number[];

/** Rates are said to this many parts of 1. */
const PARTS = 1e4;

/** The error for a target that no rates reach, with the highest, cut to four digits, that they do. @param reached whether a rate is reached */
export function infeasible(rate: number, reached: (rate: number) => boolean): EbbError {
  let parts = Math.floor(rate * PARTS);
  while (parts > 0 && !reached(parts / PARTS)) parts--;
  return new EbbError(
    `drop.rate: is ${rate}, and no drop rates leave out that share of the backward's cost; the highest that is reached here is ${parts / PARTS}`,
  );
}
