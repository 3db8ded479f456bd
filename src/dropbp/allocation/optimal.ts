/** @file `optimal`: the drop rates that harm the gradient least for what they leave out, for any cost. */

import { at, EbbError, invariant } from '../../errors.ts';
import { type Allocation, infeasible } from './allocate.ts';

/**
 * How much dropping a unit at rate r harms the gradient, as a multiple of the unit's sensitivity S = ‖what the unit adds to the
 * gradient‖². Each harm is convex and 0 at r = 0. With independent draws, and units whose parts of the gradient are orthogonal:
 * - `bias` is r²: the squared bias of the unweighted gradient is (r·√S)².
 * - `error` is r: the expected squared error is the bias r²·S and the variance r(1−r)·S together.
 * - `variance` is r/(1−r): the variance of the gradient under weights 1/(1−r), which have no bias.
 */
export interface Harm {
  readonly of: (rate: number) => number;
  /** The rate at which the slope of the harm is `slope`. For a straight line it jumps from 0 to 1. */
  readonly rateAt: (slope: number) => number;
}

/** The harms by name. */
export const HARMS = {
  bias: { of: (r) => r * r, rateAt: (slope) => slope / 2 },
  error: { of: (r) => r, rateAt: (slope) => (slope >= 1 ? 1 : 0) },
  variance: { of: (r) => r / (1 - r), rateAt: (slope) => (slope <= 1 ? 0 : 1 - 1 / Math.sqrt(slope)) },
} as const satisfies Readonly<Record<string, Harm>>;

export type HarmName = keyof typeof HARMS;

export interface OptimalAllocation extends Allocation {
  /** No unit is dropped more often than this. */
  readonly maxRate: number;
  readonly harm: HarmName;
}

/**
 * Minimises Σ sensitivity·harm(r) over minRate ≤ r ≤ maxRate with Σ cost·r ≥ rate·Σ cost. The problem is convex and separable, so by the
 * Karush–Kuhn–Tucker conditions (Boyd & Vandenberghe 2004, §5.5.3) rates are optimal where one price λ of the cost gives all of them:
 * harm′(r) = λ·cost/sensitivity, cut to the bounds of r. Where rates jump at that price (for a straight harm, or sensitivities of 0), each
 * goes the same part of its way; this is optimal too, because λ makes every rate on the way equally good.
 * @throws EbbError for a negative sensitivity, and for a target out of reach, with the highest target that is not
 */
export function optimal(allocation: OptimalAllocation): readonly number[] {
  const { sensitivities, costs, rate, minRate, maxRate } = allocation;
  const negative = sensitivities.find((s) => !(s >= 0));
  if (negative !== undefined) throw new EbbError(`drop.sensitivities: found ${negative}, expected numbers of 0 or more`);
  invariant(minRate <= maxRate, 'the least rate is above the greatest');
  const leftOut = (rates: readonly number[]): number => rates.reduce((sum, r, i) => sum + r * at(costs, i), 0);
  const need = rate * leftOut(costs.map(() => 1));
  const least = costs.map(() => minRate);
  const most = costs.map(() => maxRate);
  if (leftOut(least) >= need) return least;
  // a target equal to the greatest rate may differ from its sum by rounding
  if (leftOut(most) * (1 + 1e-12) < need) throw infeasible(rate, (share) => share <= maxRate);
  if (leftOut(most) <= need) return most;
  const [low, high] = neighbouringPrices((price) => leftOut(ratesAt(allocation, price)) < need);
  const [below, above] = [ratesAt(allocation, low), ratesAt(allocation, high)];
  const [from, to] = [leftOut(below), leftOut(above)];
  const part = to > from ? (need - from) / (to - from) : 1;
  return below.map((r, i) => r + part * (at(above, i) - r));
}

/** The rates that a price of the cost gives, cut to their bounds. */
function ratesAt({ sensitivities, costs, minRate, maxRate, harm }: OptimalAllocation, price: number): readonly number[] {
  return costs.map((c, i) => {
    const s = at(sensitivities, i);
    const r = c === 0 || price === 0 ? 0 : s === 0 ? 1 : HARMS[harm].rateAt((price * c) / s);
    return Math.min(maxRate, Math.max(minRate, r));
  });
}

/** Finds two neighbouring floats, a price that is too low and one that is not, by halving the interval between them. */
function neighbouringPrices(tooLow: (price: number) => boolean): readonly [low: number, high: number] {
  let low = 0;
  let high = 1;
  while (tooLow(high) && high < Number.MAX_VALUE) high = Math.min(Number.MAX_VALUE, high * 2 ** 16);
  for (let middle = high / 2; middle > low && middle < high; middle = low + (high - low) / 2) {
    if (tooLow(middle)) low = middle;
    else high = middle;
  }
  return [low, high];
}
