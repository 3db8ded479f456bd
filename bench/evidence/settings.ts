/** @file The settings that are compared. Each is a drop plan with a name. */

import type { DropPlanConfig } from '../../src/index.ts';
import { keptOf, layerdropRate, type StepCosts, sameCostShare, stochasticDepthRate } from './costs.ts';

/** A drop plan with a name, and perhaps another number of steps or another learning rate. */
export interface RunSetting {
  readonly name: string;
  readonly drop: DropPlanConfig;
  /** The share of the steps that the other settings do. Absent for 1. */
  readonly share?: number;
  /** The learning rate. Absent for that of the model. */
  readonly lr?: number;
}

export const RATES = [0.5, 0.75, 0.875] as const;
/** The rates at which other methods are compared. They choose among few layers, so only these can be met. */
export const OTHER_RATES = [0.5, 0.75] as const;
export const WEIGHT_RATES = [0.25, 0.5, 0.75, 0.875] as const;
export const SAMPLINGS = ['fixed-budget', 'bernoulli', 'official'] as const;
/** The sampler of every comparison that is not about samplers. All its steps cost the same. */
export const SAMPLING = 'fixed-budget';

/** The next learning rate of the sweep. A dropped unit learns nothing in that step, and a higher learning rate might make up for that. */
export const HIGHER_LR = 3e-3;
/** How the names of settings at that rate end. */
const HIGHER = `-lr-${HIGHER_LR}`;
export const higher = (name: string): string => `${name}${HIGHER}`;
/** The name of the setting that differs only in having the model's own learning rate. Its steps take as long. */
export const atOwnLr = (name: string): string => (name.endsWith(HIGHER) ? name.slice(0, -HIGHER.length) : name);

/** LISA draws other layers after this many steps. */
const PERIOD = 20;

/** All settings for a model. */
export function settingsOf(costs: StepCosts): RunSetting[] {
  // a layer is a pair of units
  const layers = costs.units.length / 2;
  const plain: RunSetting[] = [
    { name: 'none', drop: { kind: 'none' } },
    ...RATES.map((rate): RunSetting => ({ name: `none-as-${rate}`, drop: { kind: 'none' }, share: sameCostShare(costs, rate) })),
  ];
  const uniform = SAMPLINGS.flatMap((sampling) =>
    RATES.map((rate): RunSetting => ({ name: `uniform-${rate}-${sampling}`, drop: { kind: 'uniform', rate, sampling } })),
  );
  const sensitive: RunSetting[] = [
    ...RATES.map((rate): RunSetting => ({ name: `dropbp-${rate}`, drop: { kind: 'dropbp', rate, sampling: SAMPLING } })),
    { name: 'dropbp-0.75-optimal', drop: { kind: 'dropbp', rate: 0.75, sampling: SAMPLING, allocation: 'optimal' } },
  ];
  const sampled = SAMPLINGS.filter((s) => s !== SAMPLING).map(
    (sampling): RunSetting => ({ name: `dropbp-0.75-${sampling}`, drop: { kind: 'dropbp', rate: 0.75, sampling } }),
  );
  const weighted = [
    { name: 'uniform-0.25-bernoulli', drop: { kind: 'uniform', rate: 0.25, sampling: 'bernoulli' } } as const,
    ...WEIGHT_RATES.map((rate): RunSetting => ({ name: `weighted-${rate}`, drop: { kind: 'uniform', rate, sampling: 'bernoulli', weights: true } })),
  ];
  const others = OTHER_RATES.flatMap((rate): RunSetting[] => [
    { name: `layerdrop-${rate}`, drop: { kind: 'layerdrop', rate: layerdropRate(costs, rate) } },
    { name: `stochastic-depth-${rate}`, drop: { kind: 'stochastic-depth', rate: stochasticDepthRate(costs, rate) } },
    { name: `lcsb-${rate}`, drop: { kind: 'lcsb', blocks: keptOf(layers, rate, (blocks) => 1 / blocks) } },
    { name: `lisa-${rate}`, drop: { kind: 'lisa', layers: keptOf(layers, rate), period: PERIOD } },
    { name: `last-k-${rate}`, drop: { kind: 'last-k', units: keptOf(costs.units.length, rate) } },
  ]);
  const all = [...plain, ...uniform, ...sensitive, ...sampled, ...weighted, ...others];
  const again = ['none', ...OTHER_RATES.flatMap((rate) => [`none-as-${rate}`, `uniform-${rate}-${SAMPLING}`])];
  return [...all, ...all.filter((s) => again.includes(s.name)).map((s): RunSetting => ({ ...s, name: higher(s.name), lr: HIGHER_LR }))];
}

/** The beginning of the names of a sweep's settings. */
export const SWEEP = 'lr-';

/** Settings with nothing dropped at several learning rates, of which one is chosen for all settings. */
export const sweepOf = (rates: readonly number[]): RunSetting[] => rates.map((lr) => ({ name: `${SWEEP}${lr}`, drop: { kind: 'none' }, lr }));
