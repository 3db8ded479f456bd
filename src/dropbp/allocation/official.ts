/** @file `official`: the rates of the reference code (github.com/WooSunghyeon/dropbp, `allocate_p`), bit for bit. */

import { type Allocate, infeasible } from './allocate.ts';

const { fround } = Math;
const STEP = 0.1;
/** A unit at this rate or above is raised no more. */
const CAP = 0.9;

/**
 * Raises by 0.1 the rate of the unit whose sensitivity × next rate is least, the last of equals, until the kept cost is at most the
 * whole (1 − rate)-th part of it, cut to a whole number: costs are meant in FLOPs. Costs decide when it ends, not who is raised.
 * Rates, sensitivities, costs and keys are f32, sums f64, as in the reference. Where the reference's queue runs empty (targets of about
 * 0.9 and more) its rates are undefined; here that is an error.
 * @throws EbbError for a target out of reach, with the highest that is not
 */
export const official: Allocate = ({ sensitivities, costs, rate, minRate }) => {
  const rates = sensitivities.map(() => fround(minRate));
  const sensitivity = sensitivities.map(fround);
  const cost = costs.map(fround);
  const whole = costs.reduce((a, b) => a + b, 0);
  const targetOf = (share: number): number => Math.trunc((1 - share) * whole);
  const target = targetOf(rate);
  /** Minus the sensitivity × next rate, or null for a unit that is raised no more. */
  const keys: (number | null)[] = sensitivity.map((s) => fround(-s * (STEP + minRate)));
  let kept = cost.reduce((a, b) => a + b, 0) * (1 - minRate);
  while (kept > target) {
    const i = greatest(keys);
    const key = keys[i];
    if (key === null || key === undefined) throw infeasible(rate, (share) => targetOf(share) >= kept);
    rates[i] = fround((rates[i] ?? 0) + STEP);
    kept -= (cost[i] ?? 0) * STEP;
    keys[i] = (rates[i] ?? 0) < CAP ? fround(key - STEP * (sensitivity[i] ?? 0)) : null;
  }
  return rates;
};

/** Index of the greatest number, the last of equals; -1 where there is none. */
function greatest(keys: readonly (number | null)[]): number {
  return keys.reduce<number>((best, key, i) => (key !== null && key >= (keys[best] ?? Number.NEGATIVE_INFINITY) ? i : best), -1);
}
