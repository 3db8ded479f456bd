/** @file `ebb train`: fine-tune a model. */

import { Command } from 'commander';
import { parseConfig } from '../../train/config.ts';
import { commandRun } from '../../trainer/commandRun.ts';
import { addRunFlags, type RunFlags, readRunFile, runInput } from '../../trainer/flags.ts';
import { positive, positiveNumber } from '../../trainer/options.ts';
import { trainModel } from '../train.ts';

interface TrainFlags extends RunFlags {
  readonly model?: string;
  readonly lora?: boolean;
  readonly rank?: number;
  readonly alpha?: number;
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
      .option('--alpha <x>', 'alpha of the adapter', positiveNumber),
  ).action(async (file: string | undefined, flags: TrainFlags) => {
    const config = parseConfig(trainInput(file, flags), file ?? 'the command line');
    await commandRun(config.adapter, flags, (device, hooks) => trainModel(config, device, hooks));
  });
