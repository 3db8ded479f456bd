/** @file Drop plans: each drops the units it says, as a pure function of (seed, step, micro-batch), and refuses keys that do not fit the model. */

import { createDropPlan, type Draw, type DropPlanConfig } from '../../src/dropbp/plans/index.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

const UNITS = Array.from({ length: 6 }, (_, i) => [`layers.${i}.attn`, `layers.${i}.mlp`]).flat();
const MODEL = { units: UNITS, costs: UNITS.map((_, i) => (i % 2 === 0 ? 1800 : 6144)), steps: 40, scaled: true };
const SENSITIVITIES = Object.fromEntries(UNITS.map((u, i) => [u, 1 / (i + 1)]));

const draws = (config: DropPlanConfig, steps = 40, seed = 3, microBatches = 1): Draw[] => {
  const plan = createDropPlan(config, MODEL);
  return Array.from({ length: steps * microBatches }, (_, k) => plan.draw({ seed, step: Math.floor(k / microBatches), micro: k % microBatches, microBatches }));
};
const layers = (units: readonly string[]): string[] => [...new Set(units.map((u) => u.split('.').slice(0, 2).join('.')))];
const kept = ({ dropped }: Draw): string[] => UNITS.filter((u) => !dropped.includes(u));

const ALL: readonly DropPlanConfig[] = [
  { kind: 'none' },
  { kind: 'uniform', rate: 0.5, weights: true },
  { kind: 'uniform', rate: 0.5, sampling: 'official' },
  { kind: 'dropbp', rate: 0.5, sensitivities: SENSITIVITIES, sampling: 'fixed-budget' },
  { kind: 'lcsb', blocks: 4 },
  { kind: 'lisa' },
  { kind: 'last-k', units: 3 },
  { kind: 'fixed', patterns: [['layers.0.mlp'], []] },
  { kind: 'layerdrop', rate: 0.3 },
  { kind: 'stochastic-depth', rate: 0.5 },
];

it.each(ALL.map((config) => [config.kind, config] as const))('%s draws the same again, in any order, and only units of the model', (_kind, config) => {
  const once = draws(config, 20, 3, 2);
  const plan = createDropPlan(config, MODEL);
  for (let k = 39; k >= 0; k--) expect(plan.draw({ seed: 3, step: k >> 1, micro: k & 1, microBatches: 2 })).toEqual(once[k]);
  for (const { dropped, skipped = [] } of once) for (const u of [...dropped, ...skipped]) expect(UNITS).toContain(u);
});

it('uniform and layerdrop differ between seeds, steps and micro-batches', () => {
  for (const config of [
    { kind: 'uniform', rate: 0.5 },
    { kind: 'layerdrop', rate: 0.5 },
  ] as const) {
    const [a, b] = [draws(config, 40, 3, 2), draws(config, 40, 4, 2)];
    expect(a).not.toEqual(b);
    expect(new Set(a.map((d) => JSON.stringify(d))).size).toBeGreaterThan(20);
    expect(a.some((d, k) => k % 2 === 1 && JSON.stringify(d) !== JSON.stringify(a[k - 1]))).toBe(true);
  }
});

it('dropbp is uniform for a tenth of the steps, then drops by sensitivity', () => {
  const config: DropPlanConfig = { kind: 'dropbp', rate: 0.5, sensitivities: SENSITIVITIES };
  expect(draws(config).slice(0, 4)).toEqual(draws({ kind: 'uniform', rate: 0.5 }).slice(0, 4));
  const after = { ...config, after: 0 };
  const count = (unit: string): number => draws(after, 2000).filter((d) => d.dropped.includes(unit)).length / 2000;
  // the most sensitive unit is dropped least, and the least sensitive one as often as the cap allows
  expect(count('layers.0.attn')).toBeLessThan(0.3);
  expect(Math.abs(count('layers.5.mlp') - 0.9)).toBeLessThan(0.03);
  expect(createDropPlan(config, MODEL).notes?.[0]).toMatch(/^drop: all units at 0\.5 for 4 steps, then layers\.0\.attn 0/);
});

it('dropbp spends given costs instead of FLOPs', () => {
  const config = { kind: 'dropbp', rate: 0.5, sensitivities: SENSITIVITIES, allocation: 'optimal', after: 0, sampling: 'fixed-budget' } as const;
  const costs = Object.fromEntries(UNITS.map((u, i) => [u, i === 11 ? 60 : 1]));
  for (const d of draws({ ...config, costs }, 200)) {
    const spent = d.dropped.reduce((sum, u) => sum + costs[u]!, 0);
    expect(Math.abs(spent - 0.5 * 71)).toBeLessThan(60);
  }
  expect(createDropPlan({ ...config, costs }, MODEL).notes).not.toEqual(createDropPlan(config, MODEL).notes);
});

it('weights are 1/(1−rate), and a note gives the bias that they leave where draws depend on each other', () => {
  const plan = createDropPlan({ kind: 'uniform', rate: 0.75, weights: true }, MODEL);
  expect(plan.draw({ seed: 1, step: 0, micro: 0, microBatches: 1 }).weights).toEqual(new Map(UNITS.map((u) => [u, 4])));
  expect(plan.notes).toEqual([]);
  expect(createDropPlan({ kind: 'uniform', rate: 0.75, weights: true, sampling: 'fixed-budget' }, MODEL).notes?.[0]).toMatch(
    /^drop\.weights: exact under bernoulli sampling only; under fixed-budget, .* off by -\d+\.\d % on average/,
  );
});

it('lcsb gives every layer its turn, one block of neighbours a step', () => {
  const turns = draws({ kind: 'lcsb', blocks: 4 }, 8).map((d) => layers(kept(d)));
  expect(turns.slice(0, 4)).toEqual([['layers.0', 'layers.1'], ['layers.2'], ['layers.3', 'layers.4'], ['layers.5']]);
  expect(turns.slice(4)).toEqual(turns.slice(0, 4));
});

it('lisa keeps two whole layers for a period, each layer equally often', () => {
  const all = draws({ kind: 'lisa', layers: 2, period: 5 }, 5 * 3000);
  const counts = new Map<string, number>();
  for (let k = 0; k < all.length; k += 5) {
    for (let s = 1; s < 5; s++) expect(all[k + s]).toEqual(all[k]);
    expect(kept(all[k]!)).toHaveLength(4);
    for (const l of layers(kept(all[k]!))) counts.set(l, (counts.get(l) ?? 0) + 1);
  }
  expect([...counts.keys()]).toHaveLength(6);
  for (const n of counts.values()) expect(Math.abs(n / 3000 - 1 / 3)).toBeLessThan(4 * Math.sqrt(2 / 9 / 3000));
});

it('last-k keeps the last units, layerdrop skips whole layers and drops nothing', () => {
  expect(kept(draws({ kind: 'last-k', units: 3 }, 1)[0]!)).toEqual(UNITS.slice(-3));
  const all = draws({ kind: 'layerdrop', rate: 0.3 }, 3000);
  for (const { dropped, skipped = [] } of all) {
    expect(dropped).toEqual([]);
    expect(skipped).toEqual(UNITS.filter((u) => layers(skipped).includes(layers([u])[0]!)));
  }
  const share = all.flatMap((d) => d.skipped ?? []).length / UNITS.length / 3000;
  expect(Math.abs(share - 0.3)).toBeLessThan(4 * Math.sqrt(0.21 / 6 / 3000));
});

it('stochastic-depth skips later units more often, and the expected branch is the plain branch', () => {
  const all = draws({ kind: 'stochastic-depth', rate: 0.6 }, 4000);
  UNITS.forEach((u, i) => {
    const rate = ((i + 1) / 12) * 0.6;
    const kept = all.filter((d) => !d.skipped!.includes(u));
    expect(Math.abs(kept.length / 4000 - (1 - rate))).toBeLessThan(4 * Math.sqrt((rate * (1 - rate)) / 4000));
    expect(all[0]!.scales!.get(u)! * (1 - rate)).toBeCloseTo(1, 12);
  });
  expect(messageOf(() => createDropPlan({ kind: 'stochastic-depth', rate: 0.6 }, { ...MODEL, scaled: false }))).toMatch('use ebb train');
});

it.each<[DropPlanConfig, string]>([
  [{ kind: 'lcsb', blocks: 7 }, "drop.blocks: is 7, expected at most the model's 6 layers"],
  [{ kind: 'lisa', layers: 7 }, "drop.layers: is 7, expected at most the model's 6 layers"],
  [{ kind: 'last-k', units: 13 }, "drop.units: is 13, expected at most the model's 12 units"],
  [{ kind: 'fixed', patterns: [] }, 'drop.patterns: expected at least one list of units, found none'],
  [{ kind: 'fixed', patterns: [['layers.9.mlp']] }, `drop.patterns: unknown unit layers.9.mlp; the model has ${UNITS.join(', ')}`],
  [{ kind: 'uniform', rate: 1, weights: true }, 'drop.weights: expected false at a rate of 1: a unit that is never kept has no weight 1/(1−rate)'],
  [
    { kind: 'dropbp', rate: 0.5, sensitivities: { 'layers.0.attn': 1 } },
    "drop.sensitivities: layers.0.mlp is missing, expected a number for each of the model's 12 units",
  ],
  [
    { kind: 'dropbp', rate: 0.95, sensitivities: SENSITIVITIES },
    "drop.rate: is 0.95, and no drop rates leave out that share of the backward's cost; the highest share that is reached here is 0.8999",
  ],
])('%j is refused', (config, message) => {
  expect(messageOf(() => createDropPlan(config, MODEL))).toBe(message);
});
