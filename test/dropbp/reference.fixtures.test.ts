/** @file Allocation and sampling agree with the reference code: rates and patterns exactly, frequencies within their sampling error. */

import { join } from 'node:path';
import { official as allocate } from '../../src/dropbp/allocation/official.ts';
import { drawStream } from '../../src/dropbp/random.ts';
import { official as sample } from '../../src/dropbp/sampling/official.ts';
import { messageOf, readJson, withFixtures } from '../formats/fixtureFolder.ts';

interface AllocateCase {
  readonly tag: string;
  readonly p: number;
  readonly min_rate: number;
  readonly sensitivities: number[];
  readonly flops: number[];
  readonly outcome: string;
  readonly rates: number[];
}

withFixtures('dropbp', (folder) => {
  const cases: readonly AllocateCase[] = readJson(join(folder, 'allocate_cases.json')).cases;
  const { branch_order, sensitivity, flops_official_hf } = readJson(join(folder, 'reference.json'));

  it.each(cases.filter((c) => c.outcome === 'ok').map((c) => [c.tag, c.p, c.min_rate, c] as const))(
    'allocates %s for %d from %d up, bit for bit',
    (_tag, _p, _least, c) => {
      const found = allocate({ sensitivities: c.sensitivities, costs: c.flops, rate: c.p, minRate: c.min_rate });
      expect(found).toEqual(c.rates);
    },
  );

  it.each(cases.filter((c) => c.outcome !== 'ok').map((c) => [c.tag, c.p, c] as const))(
    'refuses %s for %d, which nothing reaches, with the highest rate that is reached',
    (_tag, p, c) => {
      const at = (rate: number) => allocate({ sensitivities: c.sensitivities, costs: c.flops, rate, minRate: c.min_rate });
      const message = messageOf(() => at(p));
      expect(message).toMatch(new RegExp(`^drop\\.rate: is ${p}, .* the highest share that is reached here is `));
      const highest = Number(/[\d.]+$/.exec(message)![0]);
      expect(highest).toBeGreaterThan(0.89);
      expect(at(highest).every((rate) => rate > 0.89 && rate < 1)).toBe(true);
      expect(messageOf(() => at(highest + 0.002))).toContain(`reached here is ${highest}`);
    },
  );

  it.each(Object.entries(sensitivity.runs))('allocates from the sensitivities of %s as the reference did', (_run, run) => {
    const { sensitivities, allocations } = run as { sensitivities: number[]; allocations: { p: number; rates: number[] }[] };
    const costs = branch_order.map((branch: string) => flops_official_hf[branch]);
    expect(allocations.length).toBeGreaterThan(0);
    for (const { p, rates } of allocations) expect(allocate({ sensitivities, costs, rate: p, minRate: 0 })).toEqual(rates);
  });

  it('draws the patterns of the reference from its uniforms', () => {
    const exact = readJson(join(folder, 'set_dropped_layers_exact.json')).cases;
    expect(exact.length).toBeGreaterThan(0);
    for (const { p, drop_rates: rates, uniforms, dropped } of exact) {
      const found = sample({ rates, costs: [], share: p, random: (i = 0) => uniforms[i] });
      expect(found.map(Number)).toEqual(dropped);
    }
  });

  it('drops each branch as often as the reference', () => {
    const { branch_order: branches, stats } = readJson(join(folder, 'set_dropped_layers_stats.json'));
    expect(stats.length).toBeGreaterThan(0);
    for (const { p, drop_rates: rates, draws, per_branch_frequency, mean_count_fraction } of stats) {
      const counts = rates.map(() => 0);
      for (let draw = 0; draw < draws; draw++)
        sample({ rates, costs: [], share: p, random: drawStream(1, draw, 0) }).forEach((dropped, i) => {
          if (dropped) counts[i]++;
        });
      // a frequency of so many draws has at most this standard error, and the difference of two of them has √2 times it
      const error = 0.5 / Math.sqrt(draws);
      const wanted: number[] = branches.map((branch: string) => per_branch_frequency[branch]);
      counts.forEach((n: number, i: number) => expect(Math.abs(n / draws - wanted[i]!)).toBeLessThan(4 * Math.SQRT2 * error));
      // this would be 2.4 standard errors for independent branches; the sum of branches that are topped up to a count varies less
      const mean = counts.reduce((a: number, b: number) => a + b, 0) / draws / rates.length;
      expect(Math.abs(mean - mean_count_fraction)).toBeLessThan((2.4 * Math.SQRT2 * error) / Math.sqrt(rates.length));
    }
  });
});
