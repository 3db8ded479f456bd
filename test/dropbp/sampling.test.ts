/** @file Samplers over 100,000 draws of fixed seeds: every unit is dropped with its own rate, and every draw keeps the budget. */

import { drawStream } from '../../src/dropbp/random.ts';
import { SAMPLERS, type SamplerName } from '../../src/dropbp/sampling/index.ts';
import { inverseWeights, meanPairBias } from '../../src/dropbp/weights.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

const DRAWS = 100_000;
/** With fifty comparisons against 3 standard errors, about one seed in eight fails one, whatever the sampler. This seed fails none; other seeds are counted below. */
const SEED = 2;

interface Setting {
  readonly rates: number[];
  readonly costs: number[];
}
const SETTINGS: Record<string, Setting> = {
  'equal rates, two costs': { rates: Array.from({ length: 12 }, () => 0.5), costs: Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? 1800 : 6144)) },
  'rates by sensitivity': { rates: [0, 0.1, 0.2, 0.7, 0.9, 0.9, 0.45, 1, 0.3, 0.8], costs: [5, 9, 5, 9, 5, 9, 0, 9, 50, 9.5] },
  'no whole number of units': { rates: [0.37, 0.41, 0.53], costs: [3, 1, 2] },
};

function drawn(name: SamplerName, { rates, costs }: Setting, seed = SEED, draws = DRAWS): { frequency: number[]; budget: { low: number; high: number } } {
  const counts = rates.map(() => 0);
  let [low, high] = [Number.POSITIVE_INFINITY, 0];
  for (let draw = 0; draw < draws; draw++) {
    const dropped = SAMPLERS[name]({ rates, costs, share: 0, random: drawStream(seed, draw, 0) });
    let cost = 0;
    dropped.forEach((d, i) => {
      if (!d) return;
      counts[i]!++;
      cost += costs[i]!;
    });
    low = Math.min(low, cost);
    high = Math.max(high, cost);
  }
  return { frequency: counts.map((n) => n / draws), budget: { low, high } };
}

describe.each(Object.entries(SETTINGS))('%s', (_name, setting) => {
  const { rates, costs } = setting;

  const drawnBy = { bernoulli: drawn('bernoulli', setting), 'fixed-budget': drawn('fixed-budget', setting) };

  it.each(['bernoulli', 'fixed-budget'] as const)('%s drops each unit with its rate, within 3 standard errors', (name) => {
    drawnBy[name].frequency.forEach((f, i) => {
      const rate = rates[i]!;
      expect(Math.abs(f - rate)).toBeLessThanOrEqual(3 * Math.sqrt((rate * (1 - rate)) / DRAWS));
    });
  });

  it("fixed-budget's dropped cost is off the target by less than the most expensive unit, in every draw", () => {
    const target = rates.reduce((sum, rate, i) => sum + rate * costs[i]!, 0);
    const { low, high } = drawnBy['fixed-budget'].budget;
    const most = Math.max(...costs);
    expect(low).toBeGreaterThan(target - most);
    expect(high).toBeLessThan(target + most);
    // the budget is not kept by always drawing the same pattern
    expect(high).toBeGreaterThan(low);
  });
});

it.each(['bernoulli', 'fixed-budget'] as const)('%s is off by 2 standard errors no more often than chance has it, over ten seeds', (name) => {
  const draws = 5000;
  let [off, compared] = [0, 0];
  for (let seed = 10; seed < 20; seed++)
    for (const setting of Object.values(SETTINGS))
      drawn(name, setting, seed, draws).frequency.forEach((f, i) => {
        const rate = setting.rates[i]!;
        if (rate === 0 || rate === 1) return;
        compared++;
        if (Math.abs(f - rate) > 2 * Math.sqrt((rate * (1 - rate)) / draws)) off++;
      });
  // 4.6 % of 230, with a standard error of 1.4 %
  expect(compared).toBe(230);
  expect(off / compared).toBeLessThan(0.1);
});

it('fixed-budget draws every pair of equal units together equally often', () => {
  const n = 6;
  const together = new Map<string, number>();
  for (let draw = 0; draw < DRAWS; draw++) {
    const dropped = SAMPLERS['fixed-budget']({ rates: Array(n).fill(0.5), costs: Array(n).fill(1), share: 0, random: drawStream(3, draw, 0) });
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) if (dropped[i] && dropped[j]) together.set(`${j},${i}`, (together.get(`${j},${i}`) ?? 0) + 1);
  }
  // 3 of 6 units are dropped, so a pair is dropped with the probability 3/6 · 2/5
  const p = 0.2;
  expect(together.size).toBe(15);
  for (const count of together.values()) expect(Math.abs(count / DRAWS - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / DRAWS));
});

it('weights leave the bias that the dependence of two draws makes', () => {
  const six = { rates: Array(6).fill(0.5), costs: Array(6).fill(1), share: 0.5 };
  expect(Math.abs(meanPairBias(SAMPLERS.bernoulli, six, 20_000))).toBeLessThan(0.02);
  // P(both kept) = 0.2 where 0.25 would be unbiased
  expect(meanPairBias(SAMPLERS['fixed-budget'], six, 20_000)).toBeCloseTo(-0.2, 6);
  expect(meanPairBias(SAMPLERS.official, six, 20_000)).toBeLessThan(-0.2);
});

it('a rate of 1 has no weight', () => {
  expect(inverseWeights([0, 0.5, 0.75])).toEqual([1, 2, 4]);
  expect(messageOf(() => inverseWeights([0.5, 1]))).toMatch('drop.weights: a rate is 1');
});
