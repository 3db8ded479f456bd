/** @file What is compared: settings by name, each a drop plan. */

import { layersOf } from '../../src/dropbp/layers.ts';
import type { DropPlanConfig } from '../../src/index.ts';
import { keptOf, layerdropRate, type StepCosts, sameCostShare, stochasticDepthRate } from './costs.ts';

export interface Setting {
  readonly name: string;
  readonly drop: DropPlanConfig;
  /** Of the steps that the others do; default 1. */
  readonly share?: number;
  /** Default: the model's own. */
  readonly lr?: number;
}

export const RATES = [0.5, 0.75, 0.875] as const;
/** Rates at which other methods are compared: they have few layers to choose from. */
export const OTHER_RATES = [0.5, 0.75] as const;
export const WEIGHT_RATES = [0.25, 0.5, 0.75, 0.875] as const;
export const SAMPLINGS = ['fixed-budget', 'bernoulli', 'official'] as const;
/** The sampler of every comparison that is not one of samplers: all its steps cost the same. */
export const SAMPLING = 'fixed-budget';

/** The sweep's next learning rate: a unit that is dropped learns nothing in that step, which a higher one might make up for. */
export const HIGHER_LR = 3e-3;
const HIGHER = `-lr-${HIGHER_LR}`;
export const higher = (name: string): string => `${name}${HIGHER}`;
/** The setting that differs in the learning rate alone: its steps take as long. */
export const atOwnLr = (name: string): string => (name.endsWith(HIGHER) ? name.slice(0, -HIGHER.length) : name);

/** LISA draws other layers every so many steps. */
const PERIOD = 20;

/** All settings for a model. */
export function settingsOf(costs: StepCosts): Setting[] {
  const layers = layersOf(costs.units).length;
  const plain: Setting[] = [
    { name: 'none', drop: { kind: 'none' } },
    ...RATES.map((rate): Setting => ({ name: `none-as-${rate}`, drop: { kind: 'none' }, share: sameCostShare(costs, rate) })),
  ];
  const uniform = SAMPLINGS.flatMap((sampling) =>
    RATES.map((rate): Setting => ({ name: `uniform-${rate}-${sampling}`, drop: { kind: 'uniform', rate, sampling } })),
  );
  const sensitive: Setting[] = [
    ...RATES.map((rate): Setting => ({ name: `dropbp-${rate}`, drop: { kind: 'dropbp', rate, sampling: SAMPLING } })),
    { name: 'dropbp-0.75-optimal', drop: { kind: 'dropbp', rate: 0.75, sampling: SAMPLING, allocation: 'optimal' } },
  ];
  const sampled = SAMPLINGS.filter((s) => s !== SAMPLING).map(
    (sampling): Setting => ({ name: `dropbp-0.75-${sampling}`, drop: { kind: 'dropbp', rate: 0.75, sampling } }),
  );
  const weighted = [
    { name: 'uniform-0.25-bernoulli', drop: { kind: 'uniform', rate: 0.25, sampling: 'bernoulli' } } as const,
    ...WEIGHT_RATES.map((rate): Setting => ({ name: `weighted-${rate}`, drop: { kind: 'uniform', rate, sampling: 'bernoulli', weights: true } })),
  ];
  const others = OTHER_RATES.flatMap((rate): Setting[] => [
    { name: `layerdrop-${rate}`, drop: { kind: 'layerdrop', rate: layerdropRate(costs, rate) } },
    { name: `stochastic-depth-${rate}`, drop: { kind: 'stochastic-depth', rate: stochasticDepthRate(costs, rate) } },
    { name: `lcsb-${rate}`, drop: { kind: 'lcsb', blocks: keptOf(layers, rate, (blocks) => 1 / blocks) } },
    { name: `lisa-${rate}`, drop: { kind: 'lisa', layers: keptOf(layers, rate), period: PERIOD } },
    { name: `last-k-${rate}`, drop: { kind: 'last-k', units: keptOf(costs.units.length, rate) } },
  ]);
  const all = [...plain, ...uniform, ...sensitive, ...sampled, ...weighted, ...others];
  const again = ['none', ...OTHER_RATES.flatMap((rate) => [`none-as-${rate}`, `uniform-${rate}-${SAMPLING}`])];
  return [...all, ...all.filter((s) => again.includes(s.name)).map((s): Setting => ({ ...s, name: higher(s.name), lr: HIGHER_LR }))];
}

/** How the names of a sweep's settings begin. */
export const SWEEP = 'lr-';

/** Nothing dropped, by learning rate: for choosing one that is the same for all. */
export const sweepOf = (rates: readonly number[]): Setting[] => rates.map((lr) => ({ name: `${SWEEP}${lr}`, drop: { kind: 'none' }, lr }));
