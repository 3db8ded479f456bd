/** @file An allocation makes drop rates from sensitivities and costs, for a share of the cost that is to be left out. */

import { EbbError } from '../../errors.ts';

/** What rates are made from. Lists are by unit, in the order of the model. */
export interface Allocation {
  /** How much the gradient changes when the unit alone is dropped, on any scale. */
  readonly sensitivities: readonly number[];
  /** The cost of each unit's backward, 0 or more, in any one unit of measure such as FLOPs or milliseconds. */
  readonly costs: readonly number[];
  /** The share of the whole cost that is to be left out on average, 0 to 1. */
  readonly rate: number;
  /** No unit is dropped more rarely than this. */
  readonly minRate: number;
}

/** Returns for each unit the probability with which it is dropped. @throws EbbError where no rates reach the target */
export type Allocate = (input: Allocation) => readonly number[];

/** The highest rate that can be reached is given in this many parts of 1. */
const PARTS = 1e4;

/**
 * Makes the error for a target that no rates reach. It gives the highest target that they do reach, cut to four digits.
 * @param reached whether a target is reached
 */
export function infeasible(rate: number, reached: (rate: number) => boolean): EbbError {
  let parts = Math.floor(rate * PARTS);
  while (parts > 0 && !reached(parts / PARTS)) parts--;
  return new EbbError(
    `drop.rate: is ${rate}, and no drop rates leave out that share of the backward's cost; the highest share that is reached here is ${parts / PARTS}`,
  );
}
