/** @file `ebb train`: fine-tune a model. */

import { Command } from 'commander';
import { withDevice } from '../../node/device.ts';
import { parseConfig } from '../../train/config.ts';
import { addRunFlags, type RunFlags, readRunFile, runInput } from '../../trainer/flags.ts';
import { count, number, print, say } from '../../trainer/options.ts';
import { stepPrinter } from '../../trainer/progress.ts';
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
      .option('--rank <n>', 'rank of the adapter', count)
      .option('--alpha <x>', 'alpha of the adapter', number),
  ).action(async (file: string | undefined, flags: TrainFlags) => {
    const config = parseConfig(trainInput(file, flags), file ?? 'the command line');
    let stopping = false;
    process.once('SIGINT', () => {
      stopping = true;
      say('stopping after this step; the checkpoint resumes with --resume (Ctrl-C again ends at once)');
    });
    await withDevice(config.adapter, async (device) => {
      const printer = stepPrinter();
      const report = await trainModel(config, device, { say: printer.say, onStep: printer.step, stop: () => stopping, resume: flags.resume ?? false });
      printer.end();
      print(flags.json ? JSON.stringify(report) : `${report.interrupted ? 'stopped' : 'done'} after ${report.steps} steps: ${report.out}`);
    });
  });
