/** @file What is compared: settings of a drop plan, and the plan that each of them is. */

import { ALLOCATIONS, type AllocationName } from '../dropbp/allocation/index.ts';
import type { HarmName } from '../dropbp/allocation/optimal.ts';
import type { DropPlanConfig } from '../dropbp/plans/index.ts';
import { SAMPLERS, type SamplerName } from '../dropbp/sampling/index.ts';

export const SPREADS = ['uniform', ...ALLOCATIONS] as const;
/** How a rate is spread over the units: all alike, or by sensitivity. */
export type Spread = 'uniform' | AllocationName;

/** A way to drop; its steps take the same time with weights and without. */
export interface Setting {
  readonly rate: number;
  readonly spread: Spread;
  readonly sampling: SamplerName;
}

/** A setting with or without weights 1/(1−rate). */
export interface Weighted extends Setting {
  readonly weights: boolean;
}

/** What the run's own plan says of how rates are made from sensitivities. */
export interface Sensing {
  /** By unit. */
  readonly sensitivities: Readonly<Record<string, number>>;
  /** By unit; empty: FLOPs. */
  readonly costs: Readonly<Record<string, number>>;
  readonly harm: HarmName;
  readonly minRate: number;
}

/** How a person reads a setting. */
export const settingName = ({ rate, spread, sampling, weights = false }: Setting & Partial<Weighted>): string =>
  `rate ${rate}, ${spread}, ${sampling}${weights ? ', with weights' : ''}`;

/** How a run's own `drop` spreads a rate, makes rates from sensitivities, and over how many batches it measures those. */
export function ownWay(drop: DropPlanConfig): { readonly spread: Spread; readonly batches: number } & Omit<Sensing, 'sensitivities'> {
  if (drop.kind !== 'dropbp') return { spread: 'uniform', batches: 1, costs: {}, harm: 'bias', minRate: 0 };
  const { allocation = 'official', batches = 1, costs = {}, harm = 'bias', minRate = 0 } = drop;
  return { spread: allocation, batches, costs, harm, minRate };
}

/** The plan of a setting; null, where nothing is dropped. */
export function planOf(setting: (Setting & Partial<Weighted>) | null, { sensitivities, costs, harm, minRate }: Sensing): DropPlanConfig {
  if (setting === null || setting.rate === 0) return { kind: 'none' };
  const { rate, spread, sampling, weights = false } = setting;
  if (spread === 'uniform') return { kind: 'uniform', rate, sampling, weights };
  return { kind: 'dropbp', after: 0, rate, allocation: spread, sensitivities, costs, harm, minRate, sampling, weights };
}

/** All settings of some rates, spreads and samplers. */
export const settingsOf = (rates: readonly number[], spreads: readonly Spread[], samplings: readonly SamplerName[]): Setting[] =>
  rates.flatMap((rate) => spreads.flatMap((spread) => samplings.map((sampling) => ({ rate, spread, sampling }))));

export const SAMPLINGS = Object.keys(SAMPLERS) as SamplerName[];
