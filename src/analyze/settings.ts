/** @file The settings that are compared, and the drop plan of each. */

import { ALLOCATIONS, type AllocationName } from '../dropbp/allocation/index.ts';
import type { HarmName } from '../dropbp/allocation/optimal.ts';
import type { DropPlanConfig } from '../dropbp/plans/index.ts';
import { SAMPLERS, type SamplerName } from '../dropbp/sampling/index.ts';

export const SPREADS = ['uniform', ...ALLOCATIONS] as const;
/** How a rate is spread over the units: the same for all, or by sensitivity. */
export type Spread = 'uniform' | AllocationName;

/** A way to drop. Its steps take the same time with weights and without. */
export interface Setting {
  readonly rate: number;
  readonly spread: Spread;
  readonly sampling: SamplerName;
}

/** A setting with or without weights 1/(1−rate). */
export interface WeightedSetting extends Setting {
  readonly weights: boolean;
}

/** What rates are made from, beside the target. */
export interface RateInputs {
  /** By unit. */
  readonly sensitivities: Readonly<Record<string, number>>;
  /** By unit. Empty for FLOPs. */
  readonly costs: Readonly<Record<string, number>>;
  readonly harm: HarmName;
  readonly minRate: number;
}

/** The name of a setting as a person reads it. */
export const settingName = ({ rate, spread, sampling, weights = false }: Setting & Partial<WeightedSetting>): string =>
  `rate ${rate}, ${spread}, ${sampling}${weights ? ', with weights' : ''}`;

/** How a run's own `drop` spreads a rate and makes rates from sensitivities, and over how many batches it measures those. */
export function ownWay(drop: DropPlanConfig): { readonly spread: Spread; readonly batches: number } & Omit<RateInputs, 'sensitivities'> {
  if (drop.kind !== 'dropbp') return { spread: 'uniform', batches: 1, costs: {}, harm: 'bias', minRate: 0 };
  const { allocation = 'official', batches = 1, costs = {}, harm = 'bias', minRate = 0 } = drop;
  return { spread: allocation, batches, costs, harm, minRate };
}

/** The drop plan of a setting. Null stands for dropping nothing. */
export function planOf(setting: (Setting & Partial<WeightedSetting>) | null, { sensitivities, costs, harm, minRate }: RateInputs): DropPlanConfig {
  if (setting === null || setting.rate === 0) return { kind: 'none' };
  const { rate, spread, sampling, weights = false } = setting;
  if (spread === 'uniform') return { kind: 'uniform', rate, sampling, weights };
  return { kind: 'dropbp', after: 0, rate, allocation: spread, sensitivities, costs, harm, minRate, sampling, weights };
}

/** Every combination of the given rates, spreads and samplers. */
export const settingsOf = (rates: readonly number[], spreads: readonly Spread[], samplings: readonly SamplerName[]): Setting[] =>
  rates.flatMap((rate) => spreads.flatMap((spread) => samplings.map((sampling) => ({ rate, spread, sampling }))));

/** The names of all samplers. */
export const SAMPLINGS = Object.keys(SAMPLERS) as SamplerName[];
