/** @file `official`: the rates of the reference code (github.com/WooSunghyeon/dropbp, `allocate_p`), bit for bit. */

import { at } from '../../errors.ts';
import { type Allocate, infeasible } from './allocate.ts';

const { fround } = Math;
const STEP = 0.1;
/** A unit whose rate has reached this is raised no further. */
const CAP = 0.9;

/**
 * Raises by 0.1 the rate of the unit whose sensitivity × next rate is least, the last of equals, until the cost that is kept is at most
 * (1 − rate) of the whole, cut to a whole number. (So costs are meant in FLOPs.) Costs decide when this ends, and not which unit is raised.
 * Rates, sensitivities, costs and keys are f32 and sums are f64, as in the reference. Where the queue of the reference runs empty (for
 * targets of about 0.9 and more) its rates are undefined; here that is an error.
 * @throws EbbError for a target out of reach, with the highest target that is not
 */
export const official: Allocate = ({ sensitivities, costs, rate, minRate }) => {
  const rates = sensitivities.map(() => fround(minRate));
  const sensitivity = sensitivities.map(fround);
  const cost = costs.map(fround);
  const whole = costs.reduce((a, b) => a + b, 0);
  const targetOf = (share: number): number => Math.trunc((1 - share) * whole);
  const target = targetOf(rate);
  /** −sensitivity × next rate of each unit, or null for a unit that is raised no further. */
  const keys: (number | null)[] = sensitivity.map((s) => fround(-s * (STEP + minRate)));
  let kept = cost.reduce((a, b) => a + b, 0) * (1 - minRate);
  while (kept > target) {
    const next = greatest(keys);
    if (next === null) throw infeasible(rate, (share) => targetOf(share) >= kept);
    const { i, key } = next;
    const raised = fround(at(rates, i) + STEP);
    rates[i] = raised;
    kept -= at(cost, i) * STEP;
    keys[i] = raised < CAP ? fround(key - STEP * at(sensitivity, i)) : null;
  }
  return rates;
};

/** The greatest key and its index, the last of equals. Null where every key is null. */
function greatest(keys: readonly (number | null)[]): { readonly i: number; readonly key: number } | null {
  const least = { i: -1, key: Number.NEGATIVE_INFINITY };
  const best = keys.reduce((most, key, i) => (key !== null && key >= most.key ? { i, key } : most), least);
  return best === least ? null : best;
}
