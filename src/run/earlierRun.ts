/** @file Runs that an earlier version began: what their config does not say, and what it said otherwise. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { RunConfig } from '../train/config.ts';
import { USUAL_LOSS_OVER } from '../train/step.ts';
import { readRunFile } from './runFile.ts';

/** The file of a run's config, as resolved. */
export const CONFIG = 'config.yaml';

/** How runs were that began before there was a choice. */
const BEFORE = { matmulPrecision: 'f32', lossOver: 'microBatches', pack: false, bucket: false } as const;

type Keys = Readonly<Record<string, unknown>>;

/** Whether a config was written before the loss of a step was a mean over tokens. All keys that have a default were written. */
const isEarlier = (stored: Keys): boolean => stored['lossOver'] === undefined;

/** `shuffle: true` was what an earlier version wrote where nothing was given, and ready batches kept their order then. */
const withoutUsualShuffle = <T extends { readonly shuffle?: unknown }>({ shuffle, ...keys }: T): Omit<T, 'shuffle'> =>
  shuffle === true ? keys : { ...keys, shuffle };

/** The config of a run folder in the words of this version. */
export function storedConfig(file: string): Keys {
  const stored: Keys = { ...readRunFile(file) };
  return { ...BEFORE, ...(isEarlier(stored) ? withoutUsualShuffle(stored) : stored) };
}

/** A config that says what the loss of a step is a mean over. */
type Settled = RunConfig & { readonly lossOver: NonNullable<RunConfig['lossOver']> };

/**
 * The config of a run that goes on in the folder of `file`, its config. A run of an earlier version goes on as it began where nothing else is
 * asked for.
 */
export function goingOn(file: string, config: RunConfig): Settled {
  const earlier = isEarlier({ ...readRunFile(file) });
  const { lossOver = earlier ? BEFORE.lossOver : USUAL_LOSS_OVER } = config;
  return { ...(earlier ? withoutUsualShuffle(config) : config), lossOver };
}

/** The config of a run that begins, or goes on in its folder. */
export function settled(config: RunConfig, resumes: boolean): Settled {
  const file = join(config.out, CONFIG);
  if (resumes && existsSync(file)) return goingOn(file, config);
  const { lossOver = USUAL_LOSS_OVER } = config;
  return { ...config, lossOver };
}
