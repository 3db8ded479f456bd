/** @file A run as the library's functions take it, and its config. */

import type { DropPlanConfig } from '../dropbp/plans/index.ts';
import { WATCH, type Watch } from '../run/progress.ts';
import { parseConfig, type RunConfig, type RunInput } from '../train/config.ts';
import { ON_DEVICE, type OnDevice } from './device.ts';

/** The keys of a run (docs/training.md), and how it is watched. `model` and `data` are required. */
export interface RunOptions extends Omit<RunInput, '$schema' | 'drop' | 'device'>, OnDevice, Watch {
  /** A drop plan; or a rate, which is that of a uniform plan. Default: nothing is dropped. */
  readonly drop?: number | DropPlanConfig;
  /** The run file that the keys were read from, or what else errors should say that they come from. Default: the function. */
  readonly from?: string;
}

const dropPlan = (drop: number | DropPlanConfig): DropPlanConfig => {
  if (typeof drop !== 'number') return drop;
  return drop === 0 ? { kind: 'none' } : { kind: 'uniform', rate: drop };
};

/** The options that are no keys of a run, or are not given as keys are. */
const BESIDES_KEYS: ReadonlySet<string> = new Set(
  Object.keys({ ...ON_DEVICE, ...WATCH, drop: true, from: true } satisfies Partial<Record<keyof RunOptions, true>>),
);

/** The config of a run that options ask for. @throws EbbError naming every option that is wrong */
export function configOf(options: RunOptions & { readonly from: string }): RunConfig {
  const { drop, device, from } = options;
  const keys = Object.fromEntries(Object.entries(options).filter(([key, value]) => value !== undefined && !BESIDES_KEYS.has(key)));
  return parseConfig({ ...keys, ...(drop === undefined ? {} : { drop: dropPlan(drop) }), ...(typeof device === 'string' ? { device } : {}) }, from);
}
