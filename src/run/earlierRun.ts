/** @file Runs that an earlier version began: what their config does not say, and what it said otherwise. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { option } from '../errors.ts';
import type { RunConfig } from '../train/config.ts';
import { rateFactor, type ScheduledSteps } from '../train/schedule.ts';
import { USUAL_LOSS_OVER } from '../train/step.ts';
import type { GoingOn } from './openRun.ts';
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
export function settled(config: RunConfig, { resume = false, extend = false }: GoingOn): Settled {
  const file = join(config.out, CONFIG);
  if (resume && existsSync(file)) return { ...goingOn(file, config), ...extended(config, scheduledBefore(file), extend) };
  const { lossOver = USUAL_LOSS_OVER } = config;
  return { ...config, lossOver };
}

const scheduled = z.object({
  schedule: z.enum(['constant', 'linear', 'cosine']),
  warmupSteps: z.int().nonnegative(),
  steps: z.int().positive(),
  scheduleSteps: z.int().positive().optional(),
});

/** The schedule that the run began with whose config is `file`; null where there is none that says it. */
export function scheduledBefore(file: string): ScheduledSteps | null {
  if (!existsSync(file)) return null;
  const found = scheduled.safeParse(storedConfig(file));
  return found.success ? found.data : null;
}

/** The steps of the schedule of a run that goes on: those it began with, where they were fewer than the run has, or are to be. */
function extended({ scheduleSteps }: RunConfig, before: ScheduledSteps | null, extend: boolean): Pick<RunConfig, 'scheduleSteps'> {
  const kept = scheduleSteps ?? before?.scheduleSteps ?? (extend ? before?.steps : undefined);
  return kept === undefined ? {} : { scheduleSteps: kept };
}

/**
 * What is to be said of the learning rates of a run that goes on under a schedule of more or fewer steps than it began with; null where they are those that
 * its steps so far had. @param done steps that are done
 */
export function scheduleNote(before: ScheduledSteps, now: ScheduledSteps, done: number): string | null {
  const differs = Array.from({ length: done }, (_, step) => step).some((step) => Math.abs(rateFactor(before, step) - rateFactor(now, step)) > 1e-12);
  if (!differs) return null;
  const share = (of: ScheduledSteps, step: number): string => `${(100 * rateFactor(of, step)).toPrecision(3)} %`;
  const own = now.scheduleSteps ?? now.steps;
  return `the run began with a schedule (${before.schedule}) of ${before.scheduleSteps ?? before.steps} steps, and goes on with one of ${own}: its step ${done} had ${share(before, done - 1)} of the learning rate, and step ${done + 1} has ${share(now, done)}; so it is not the run of ${own} steps. ${option('extend')} keeps the last rate instead`;
}
