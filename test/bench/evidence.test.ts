/** @file The settings of the evidence cost what their names say, and its numbers are paired by seed. */

import { stepCosts } from '../../bench/evidence/costs.ts';
import { viewsWorthShowing } from '../../bench/evidence/page.ts';
import type { RunResult } from '../../bench/evidence/results.ts';
import { settingsOf } from '../../bench/evidence/settings.ts';
import { paired, summarise } from '../../bench/evidence/summary.ts';
import { deviation, mean } from '../../bench/stats.ts';
import { createDropPlan } from '../../src/dropbp/plans/index.ts';
import { functionFlops } from '../../src/runtime/program.ts';
import { drawPattern } from '../../src/train/patterns.ts';
import { linkedModel } from '../support/linkers.ts';

const { program, linker, sizes } = linkedModel({ numLayers: 4, scaledBranches: true });
const costs = stepCosts(program);
const settings = settingsOf(costs);
const STEPS = 3000;

/** FLOPs of the mean step of a setting, from variants as they are linked. */
function meanFlops(name: string): number {
  const { drop } = settings.find((s) => s.name === name)!;
  const plan = createDropPlan(drop, { units: costs.units, costs: costs.backward, steps: STEPS, scaled: true });
  const known = new Map<string, number>();
  const of = (step: number): number => {
    const pattern = drawPattern(plan.draw({ seed: 1, step, micro: 0, microBatches: 1 }));
    const key = [...pattern].join();
    const flops =
      known.get(key) ?? linker.link(pattern).calls.reduce((sum, c) => sum + (c.phase === 'sum' ? 0 : functionFlops(program.functions[c.fn]!, sizes)), 0);
    known.set(key, flops);
    return flops;
  };
  return mean(Array.from({ length: STEPS }, (_, step) => of(step)));
}

it.each([0.5, 0.75])('plans that leave out forwards cost in the mean what dropping %d of the backwards costs', (rate) => {
  const wanted = meanFlops(`uniform-${rate}-fixed-budget`);
  const near = (flops: number): void => expect(Math.abs(flops / wanted - 1)).toBeLessThan(0.02);
  for (const name of [`layerdrop-${rate}`, `stochastic-depth-${rate}`]) near(meanFlops(name));
  near(meanFlops('none') * settings.find((s) => s.name === `none-as-${rate}`)!.share!);
});

it('keeps the share of layers or units closest to what the rate leaves', () => {
  const drops = new Map(settings.map((s) => [s.name, s.drop]));
  expect(drops.get('lcsb-0.75')).toEqual({ kind: 'lcsb', blocks: 4 });
  expect(drops.get('lisa-0.5')).toEqual({ kind: 'lisa', layers: 2, period: 20 });
  expect(drops.get('last-k-0.75')).toEqual({ kind: 'last-k', units: 2 });
});

it('pairs settings by seed, leaves out runs that failed, and measures the gap from where it began', () => {
  const run = (setting: string, seed: number, heldOut: number, more: Partial<RunResult> = {}): RunResult => ({
    setting,
    seed,
    drop: { kind: 'none' },
    steps: 10,
    evaluations: [
      { step: 0, heldOut: 5, train: 4.5 },
      { step: 10, heldOut, train: 2 },
    ],
    losses: [],
    forwardFlops: 100,
    backwardFlops: 200,
    savedBytes: 8,
    ...more,
  });
  const runs = [
    run('none', 1, 3),
    run('none', 2, 4),
    run('x', 2, 4.5, { backwardFlops: 50 }),
    run('x', 1, 3.25, { backwardFlops: 50 }),
    run('x', 3, 9, { failed: 'NaN' }),
  ];
  const [none, x] = ['none', 'x'].map((name) => summarise({ runs, times: null }).get(name)!);
  const held = paired(x!, none!, (o) => o.heldOut);
  expect(held.values).toEqual([0.25, 0.5]);
  expect(held.deviation).toBeCloseTo(Math.sqrt(0.03125), 12);
  expect(x!.outcomes.map((o) => [o.cost, o.gap])).toEqual([
    [0.5, 0.75],
    [0.5, 2],
  ]);
  expect(deviation([7])).toBeNaN();
});

it('shows no view that compares the same settings again', () => {
  const shown = (...names: string[]): string[] => viewsWorthShowing((name) => names.includes(name)).map((view) => view.id);
  expect(shown('none', 'uniform-0.5-fixed-budget', 'dropbp-0.5')).toEqual(['rates']);
  expect(shown('none', 'uniform-0.5-fixed-budget', 'uniform-0.5-bernoulli', 'last-k-0.5')).toEqual(['rates', 'samplers', 'methods']);
});
