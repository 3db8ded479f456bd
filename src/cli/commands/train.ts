/** @file `ebb train`: fine-tune a model. */

import { join } from 'node:path';
import { Command } from 'commander';
import type { DispatchTime } from '../../runtime/profile.ts';
import { parseConfig } from '../../train/config.ts';
import { commandRun } from '../../trainer/commandRun.ts';
import { addRunFlags, type RunFlags, readRunFile, runInput } from '../../trainer/flags.ts';
import { positive, positiveNumber } from '../../trainer/options.ts';
import { writeProfile } from '../profile.ts';
import { trainModel } from '../train.ts';

interface TrainFlags extends RunFlags {
  readonly model?: string;
  readonly lora?: boolean;
  readonly rank?: number;
  readonly alpha?: number;
  readonly profile?: number | boolean;
}

/** Flags over the file's keys. */
function trainInput(file: string | undefined, flags: TrainFlags): Record<string, unknown> {
  const fromFile = file === undefined ? {} : readRunFile(file);
  const { model, lora, rank, alpha } = flags;
  const adapted = lora === true || rank !== undefined || alpha !== undefined;
  return {
    ...runInput(fromFile, flags),
    ...(model === undefined ? {} : { model }),
    ...(adapted ? { lora: { ...(typeof fromFile.lora === 'object' ? fromFile.lora : {}), ...(rank && { rank }), ...(alpha && { alpha }) } } : {}),
  };
}

/** `ebb train`. */
export const trainCommand = (): Command =>
  addRunFlags(
    new Command('train')
      .description('fine-tune a model; a run file (YAML) holds any of the keys, flags go over them')
      .argument('[config]', 'run.yaml')
      .option('--model <path>', 'checkpoint folder, GGUF file or hub id')
      .option('--lora', 'train a low-rank adapter instead of all weights')
      .option('--rank <n>', 'rank of the adapter', positive)
      .option('--alpha <x>', 'alpha of the adapter', positiveNumber)
      .option('--profile [steps]', 'time every kernel of some steps (default 1); tables on stderr, traces for chrome://tracing in the run folder', positive),
  ).action(async (file: string | undefined, flags: TrainFlags) => {
    const config = parseConfig(trainInput(file, flags), file ?? 'the command line');
    await commandRun(config.adapter, flags, async (device, hooks) => {
      if (flags.profile === undefined || flags.profile === false) return trainModel(config, device, hooks);
      const steps: (readonly DispatchTime[])[] = [];
      const timed = { steps: flags.profile === true ? 1 : flags.profile, report: (_step: number, times: readonly DispatchTime[]) => void steps.push(times) };
      const report = await trainModel(config, device, { ...hooks, timed });
      hooks.say?.(steps.length > 0 ? await writeProfile(join(config.out, 'profile'), steps, device) : 'nothing was profiled: the run has fewer than 3 steps');
      return report;
    });
  });
