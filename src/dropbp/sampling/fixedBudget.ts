/** @file `fixed-budget`: every step drops the same cost, and every unit still has its own rate. */

import { at } from '../../errors.ts';
import { shuffled } from '../random.ts';
import type { Sampler } from './sampler.ts';

/**
 * Pivotal sampling (Deville & Tillé 1998, Biometrika 85:89–101), balanced on cost as the flight phase of the cube method is
 * (Deville & Tillé 2004, Biometrika 91:893–912). There is one constraint, Σ cost, so two undecided units can always move along it.
 *
 * Start at p = rates. Take two undecided units i, j (0 < p < 1) and move them along the line that keeps the cost, p_i + t·c_j and
 * p_j − t·c_i, to one of its two ends inside [0, 1]²: t = up with probability down/(up+down), or t = −down with probability up/(up+down).
 * - E t = 0, so a move does not change the expectation of any p. In the end P(i dropped) = E p_i, which is exactly its rate.
 * - c_i·p_i + c_j·p_j does not change, so Σ c·p stays Σ c·rate.
 * - An end of the line decides at least one of the two units, so at most one unit k is left undecided. It is drawn by its p_k. The cost
 *   that a step drops differs from Σ c·rate by c_k·(1−p_k) or c_k·p_k, which is less than the cost of the most expensive unit.
 * - A unit without cost is drawn on its own.
 *
 * Units meet in an order that is drawn anew each time, so that the budget is all that ties two units to each other. (These statements are
 * exact up to the 2⁻³² of a drawn number and the rounding of f64.)
 */
export const fixedBudget: Sampler = ({ rates, costs, random }) => {
  const p = [...rates];
  const undecided = (i: number): boolean => at(p, i) > 0 && at(p, i) < 1;
  /** The undecided unit that waits for the next one, or null. */
  let open: number | null = null;
  for (const j of shuffled(p.length, (i) => random(0, i))) {
    if (!undecided(j)) continue;
    if (at(costs, j) === 0) p[j] = random(1, j) < at(p, j) ? 1 : 0;
    else if (open === null) open = j;
    else {
      [p[open], p[j]] = moved({ p: at(p, open), c: at(costs, open) }, { p: at(p, j), c: at(costs, j) }, random(1, j));
      if (!undecided(open)) open = undecided(j) ? j : null;
    }
  }
  if (open !== null) p[open] = random(1, p.length) < at(p, open) ? 1 : 0;
  return p.map((x) => x >= 1);
};

/** An undecided unit: its probability and its cost. */
interface Undecided {
  readonly p: number;
  readonly c: number;
}

/**
 * One move of two units: returns their probabilities at the end of the line that `u`, uniform in [0, 1), picks. A probability that decides
 * a unit is exactly 0 or 1, without rounding.
 */
function moved(i: Undecided, j: Undecided, u: number): [number, number] {
  const up = Math.min((1 - i.p) / j.c, j.p / i.c);
  const down = Math.min(i.p / j.c, (1 - j.p) / i.c);
  if (u < down / (up + down)) return (1 - i.p) / j.c <= j.p / i.c ? [1, inside(j.p - up * i.c)] : [inside(i.p + up * j.c), 0];
  return i.p / j.c <= (1 - j.p) / i.c ? [0, inside(j.p + down * i.c)] : [inside(i.p - down * j.c), 1];
}

const inside = (p: number): number => Math.min(1, Math.max(0, p));
