/** @file Optimal rates: no point of a grid is better, and they reach a lower bound from the dual problem, so no rates are better. */

import { HARMS, type HarmName, optimal } from '../../src/dropbp/allocation/optimal.ts';
import { uniform } from '../../src/dropbp/random.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

const NAMES = Object.keys(HARMS) as HarmName[];
const MAX_RATE = 0.9;
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

interface Case {
  readonly sensitivities: number[];
  readonly costs: number[];
  readonly rate: number;
  readonly minRate: number;
}
/** Problems with sensitivities over six decades and costs over one, some of them equal or zero. */
const drawn = Array.from({ length: 12 }, (_, k): Case => {
  const sensitivities = Array.from({ length: 5 }, (_s, i) => 10 ** (6 * uniform(k, 0, i) - 3));
  const costs = Array.from({ length: 5 }, (_c, i) => 10 ** uniform(k, 1, i));
  if (k % 3 === 1) sensitivities[2] = sensitivities[3] = costs[2] = costs[3] = 1;
  if (k % 4 === 2) sensitivities[1] = 0;
  if (k % 5 === 3) costs[4] = 0;
  return { sensitivities, costs, rate: 0.15 + 0.7 * uniform(k, 2), minRate: k % 2 === 0 ? 0 : 0.1 };
});

const harmOf = (harm: HarmName, { sensitivities }: Case, rates: readonly number[]): number =>
  dot(
    sensitivities,
    rates.map((r) => HARMS[harm].of(r)),
  );

/** The least harm over the grid of tenths, among the points that leave out enough. */
function gridBest(harm: HarmName, problem: Case): number {
  const { costs, rate, minRate } = problem;
  const need =
    rate *
      dot(
        costs,
        costs.map(() => 1),
      ) -
    1e-9;
  const tenths = Array.from({ length: 10 }, (_, k) => k / 10).filter((r) => r >= minRate);
  let best = Number.POSITIVE_INFINITY;
  const visit = (rates: number[]): void => {
    if (rates.length < costs.length) for (const r of tenths) visit([...rates, r]);
    else if (dot(costs, rates) >= need) best = Math.min(best, harmOf(harm, problem, rates));
  };
  visit([]);
  return best;
}

/** The least value of a function on [a, b] that is convex, by golden-section search. */
function least(f: (x: number) => number, a: number, b: number): number {
  const G = (Math.sqrt(5) - 1) / 2;
  let [from, to] = [a, b];
  for (let k = 0; k < 200; k++) {
    const [x, y] = [to - G * (to - from), from + G * (to - from)];
    if (f(x) < f(y)) to = y;
    else from = x;
  }
  return Math.min(f((from + to) / 2), f(a), f(b));
}

/** max over λ of min over rates of harm + λ·(need − cost·rates). It is a lower bound for every feasible point, and by convexity the optimum reaches it. */
function dualBound(harm: HarmName, { sensitivities, costs, rate, minRate }: Case): number {
  const need =
    rate *
    dot(
      costs,
      costs.map(() => 1),
    );
  const at = (price: number): number =>
    sensitivities.reduce((sum, s, i) => sum + least((r) => s * HARMS[harm].of(r) - price * costs[i]! * r, minRate, MAX_RATE), price * need);
  const steepest = 1e7;
  return -least((log) => -at(Math.exp(log)), Math.log(1e-13), Math.log(steepest));
}

describe.each(NAMES)('%s', (harm) => {
  it.each(drawn.map((problem, k) => [k, problem] as const))('case %i is feasible and optimal', (_k, problem) => {
    const { costs, rate, minRate } = problem;
    const rates = optimal({ ...problem, maxRate: MAX_RATE, harm });
    const whole = dot(
      costs,
      costs.map(() => 1),
    );
    for (const r of rates) {
      expect(r).toBeGreaterThanOrEqual(minRate);
      expect(r).toBeLessThanOrEqual(MAX_RATE);
    }
    expect(dot(costs, rates)).toBeGreaterThanOrEqual(rate * whole * (1 - 1e-12));
    const found = harmOf(harm, problem, rates);
    expect(found).toBeLessThanOrEqual(gridBest(harm, problem) * (1 + 1e-9) + 1e-12);
    const bound = dualBound(harm, problem);
    expect(Math.abs(found - bound)).toBeLessThanOrEqual(1e-6 * Math.max(1e-3, bound));
  });
});

it('equal units get equal rates, and no more is left out than asked', () => {
  for (const harm of NAMES) {
    const same = { sensitivities: [1, 1, 1, 1], costs: [3, 3, 3, 3], rate: 0.5, minRate: 0, maxRate: MAX_RATE, harm };
    for (const r of optimal(same)) expect(r).toBeCloseTo(0.5, 9);
    const harmless = optimal({ ...same, sensitivities: [0, 0, 1, 1], rate: 0.25 });
    expect(harmless.slice(0, 2).map((r) => Number(r.toFixed(9)))).toEqual([0.5, 0.5]);
    for (const r of harmless.slice(2)) expect(r).toBeCloseTo(0, 12);
  }
});

it('refuses a target above the cap with the highest rate, and a negative sensitivity', () => {
  const problem = { sensitivities: [1, 2], costs: [1, 1], minRate: 0, maxRate: MAX_RATE, harm: 'bias' as const };
  expect(messageOf(() => optimal({ ...problem, rate: 0.95 }))).toBe(
    "drop.rate: is 0.95, and no drop rates leave out that share of the backward's cost; the highest share that is reached here is 0.9",
  );
  expect(optimal({ ...problem, rate: 0.9 })).toEqual([0.9, 0.9]);
  expect(messageOf(() => optimal({ ...problem, rate: 0.5, sensitivities: [1, -2] }))).toMatch('drop.sensitivities: found -2, expected numbers of 0 or more');
});
