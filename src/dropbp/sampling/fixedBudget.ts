/** @file `fixed-budget`: every step drops the same cost, and every unit still has its own rate. */

import { shuffled } from '../random.ts';
import type { Sampler } from './sampler.ts';

/**
 * Pivotal sampling (Deville & Tillé 1998, Biometrika 85:89–101) balanced on cost as the flight phase of the cube method does it
 * (Deville & Tillé 2004, Biometrika 91:893–912): with one constraint, Σ cost, two undecided units are a problem that can move.
 *
 * Start at p = rates. Take two units i, j that are undecided (0 < p < 1) and move them along the line that keeps the cost,
 * p_i + t·c_j and p_j − t·c_i, to one of its two ends inside [0, 1]², t = up or t = −down, with probability down/(up+down) and
 * up/(up+down). Then
 * - E t = 0, so each move leaves the expectation of every p as it was, and in the end P(i dropped) = E p_i = its rate, exactly;
 * - c_i·p_i + c_j·p_j does not change, so Σ c·p stays Σ c·rate;
 * - an end of the line decides at least one of the two, so at most one unit k is left undecided, and is drawn by its p_k: a step's
 *   dropped cost is off Σ c·rate by c_k·(1−p_k) or c_k·p_k, less than the most expensive unit's cost. A unit without cost is drawn alone.
 *
 * Units meet in an order drawn anew each time, so that no two are tied to each other more than the budget ties all. (Exactly, here:
 * up to the 2⁻³² of a drawn number and the rounding of f64.)
 */
export const fixedBudget: Sampler = ({ rates, costs, random }) => {
  const p = [...rates];
  const at = (i: number): number => p[i] ?? 0;
  const cost = (i: number): number => costs[i] ?? 0;
  const undecided = (i: number): boolean => at(i) > 0 && at(i) < 1;
  let open = -1;
  for (const j of shuffled(p.length, (i) => random(0, i))) {
    if (!undecided(j)) continue;
    if (cost(j) === 0) p[j] = random(1, j) < at(j) ? 1 : 0;
    else if (open < 0) open = j;
    else {
      [p[open], p[j]] = moved({ p: at(open), c: cost(open) }, { p: at(j), c: cost(j) }, random(1, j));
      open = undecided(open) ? open : undecided(j) ? j : -1;
    }
  }
  if (open >= 0) p[open] = random(1, p.length) < at(open) ? 1 : 0;
  return p.map((x) => x >= 1);
};

interface Undecided {
  readonly p: number;
  readonly c: number;
}

/** One move: the probabilities at the end that `u`, uniform in [0, 1), picks. What decides a unit decides it without rounding. */
function moved(i: Undecided, j: Undecided, u: number): [number, number] {
  const up = Math.min((1 - i.p) / j.c, j.p / i.c);
  const down = Math.min(i.p / j.c, (1 - j.p) / i.c);
  if (u < down / (up + down)) return (1 - i.p) / j.c <= j.p / i.c ? [1, inside(j.p - up * i.c)] : [inside(i.p + up * j.c), 0];
  return i.p / j.c <= (1 - j.p) / i.c ? [0, inside(j.p + down * i.c)] : [inside(i.p - down * j.c), 1];
}

const inside = (p: number): number => Math.min(1, Math.max(0, p));
