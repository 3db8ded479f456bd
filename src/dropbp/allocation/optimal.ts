/** @file `optimal`: the drop rates that harm the gradient least for what they leave out, for any cost. */

import { EbbError, invariant } from '../../errors.ts';
import { type Allocation, infeasible } from './allocate.ts';

/**
 * What dropping a unit at rate r does to the gradient, in units of its sensitivity S = ‖what it adds to the gradient‖²: convex, 0 at 0.
 * With independent draws and units whose parts of the gradient are orthogonal,
 * - `bias`: r², the squared bias of the unweighted gradient, (r·√S)²;
 * - `error`: r, its expected squared error: the bias r²·S and the variance r(1−r)·S;
 * - `variance`: r/(1−r), the variance of the gradient under weights 1/(1−r), whose bias is 0.
 */
export interface Harm {
  readonly of: (rate: number) => number;
  /** The rate at which its slope is `slope`: a jump from 0 to 1 for a straight line. */
  readonly rateAt: (slope: number) => number;
}

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
 * Minimises Σ sensitivity·harm(r) over minRate ≤ r ≤ maxRate with Σ cost·r ≥ rate·Σ cost. The problem is convex and separable, so by
 * the Karush–Kuhn–Tucker conditions (Boyd & Vandenberghe 2004, §5.5.3) a point is the optimum where one price λ of the cost gives
 * every rate, harm′(r) = λ·cost/sensitivity, cut to its bounds. λ is found by halving an interval down to neighbouring floats; where
 * rates jump between the two (a straight harm, sensitivities of 0), each goes the same part of the way, which is optimal too, as λ
 * leaves all of it at one price.
 * @throws EbbError for a negative sensitivity, and for a target out of reach, with the highest that is not
 */
export function optimal({ sensitivities, costs, rate, minRate, maxRate, harm }: OptimalAllocation): readonly number[] {
  const negative = sensitivities.find((s) => !(s >= 0));
  if (negative !== undefined) throw new EbbError(`drop.sensitivities: ${negative} is none, expected numbers of 0 and more`);
  invariant(minRate <= maxRate, 'the least rate is above the greatest');
  const total = (rates: readonly number[]): number => rates.reduce((sum, r, i) => sum + r * (costs[i] ?? 0), 0);
  const need = rate * total(costs.map(() => 1));
  const least = costs.map(() => minRate);
  const most = costs.map(() => maxRate);
  if (total(least) >= need) return least;
  // a target equal to the greatest rate may differ from its sum by rounding
  if (total(most) * (1 + 1e-12) < need) throw infeasible(rate, (share) => share <= maxRate);
  if (total(most) <= need) return most;
  const ratesAt = (price: number): readonly number[] =>
    costs.map((c, i) => {
      const s = sensitivities[i] ?? 0;
      const r = c === 0 || price === 0 ? 0 : s === 0 ? 1 : HARMS[harm].rateAt((price * c) / s);
      return Math.min(maxRate, Math.max(minRate, r));
    });
  let low = 0;
  let high = 1;
  while (total(ratesAt(high)) < need && high < Number.MAX_VALUE) high = Math.min(Number.MAX_VALUE, high * 2 ** 16);
  for (let middle = high / 2; middle > low && middle < high; middle = low + (high - low) / 2) {
    if (total(ratesAt(middle)) < need) low = middle;
    else high = middle;
  }
  const [below, above] = [ratesAt(low), ratesAt(high)];
  const [from, to] = [total(below), total(above)];
  const part = to > from ? (need - from) / (to - from) : 1;
  return below.map((r, i) => r + part * ((above[i] ?? r) - r));
}
