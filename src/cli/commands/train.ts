/** @file `ebb train`: fine-tune a model. */

import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { parseDocument } from 'yaml';
import { EbbError } from '../../errors.ts';
import { parseConfig, type RunInput } from '../../train/config.ts';
import { withDevice } from '../device.ts';
import { count, deviceOption, number, print, say } from '../options.ts';
import { stepPrinter } from '../progress.ts';
import { runTraining } from '../train.ts';

interface TrainFlags {
  readonly model?: string;
  readonly data?: string;
  readonly evalData?: string;
  readonly out?: string;
  readonly steps?: number;
  readonly batch?: number;
  readonly length?: number;
  readonly lr?: number;
  readonly dropRate?: number;
  readonly lora?: boolean;
  readonly rank?: number;
  readonly alpha?: number;
  readonly seed?: number;
  readonly accumulate?: number;
  readonly saveEvery?: number;
  readonly evalEvery?: number;
  readonly evalLimit?: number;
  readonly resume?: boolean;
  readonly json?: boolean;
  readonly adapter: string;
}

/** Flags over the file's keys. */
function trainInput(file: string | undefined, flags: TrainFlags): unknown {
  const fromFile = file === undefined ? {} : readRun(file);
  const { adapter, resume: _resume, json: _json, lr, dropRate, lora, rank, alpha, ...plain } = flags;
  const given = Object.fromEntries(Object.entries(plain).filter(([, v]) => v !== undefined));
  const input: Record<string, unknown> = { ...fromFile, ...given };
  if (lr !== undefined) input['optimizer'] = { name: 'adamw', ...(fromFile.optimizer as object | undefined), lr };
  if (dropRate !== undefined) input['drop'] = dropRate === 0 ? { kind: 'none' } : { kind: 'uniform', rate: dropRate };
  if (lora === true || rank !== undefined || alpha !== undefined)
    input['lora'] = {
      ...(typeof fromFile.lora === 'object' ? fromFile.lora : {}),
      ...(rank === undefined ? {} : { rank }),
      ...(alpha === undefined ? {} : { alpha }),
    };
  if (adapter !== 'auto') input['adapter'] = adapter;
  return input;
}

/** @throws EbbError with the line of what is no YAML */
function readRun(file: string): Partial<RunInput> {
  const document = parseDocument(readText(file));
  const [error] = document.errors;
  if (error) throw new EbbError(`${file}: line ${error.linePos?.[0].line ?? 1}: ${error.message.split(' at line')[0]}`);
  const run: unknown = document.toJS();
  if (run === null || typeof run !== 'object' || Array.isArray(run)) throw new EbbError(`${file}: is no list of keys, expected a run configuration (YAML)`);
  return run;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new EbbError(`${path}: cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : String(error)})`);
  }
}

/** `ebb train`. */
export const trainCommand = (): Command =>
  new Command('train')
    .description('fine-tune a model; a run file (YAML) holds any of the keys, flags go over them')
    .argument('[config]', 'run.yaml')
    .option('--model <path>', 'checkpoint folder, GGUF file or hub id')
    .option('--data <file>', 'text, JSONL, or batches as safetensors')
    .option('--eval-data <file>', 'held-out data')
    .option('--out <dir>', 'run folder')
    .option('--steps <n>', 'optimizer steps', count)
    .option('--batch <n>', 'sequences a micro-batch', count)
    .option('--length <n>', 'most tokens of a sequence', count)
    .option('--accumulate <n>', 'micro-batches a step', count)
    .option('--lr <x>', 'learning rate', number)
    .option('--lora', 'train a low-rank adapter instead of all weights')
    .option('--rank <n>', 'rank of the adapter', count)
    .option('--alpha <x>', 'alpha of the adapter', number)
    .option('--drop-rate <p>', 'share of the residual branches that get no backward in a step', number)
    .option('--seed <n>', 'seed of everything random', count)
    .option('--save-every <n>', 'steps between checkpoints', count)
    .option('--eval-every <n>', 'steps between held-out evaluations', count)
    .option('--eval-limit <n>', 'held-out examples', count)
    .option('--resume', 'go on from the newest checkpoint in the run folder')
    .option('--json', 'print the result as JSON')
    .addOption(deviceOption())
    .action(async (file: string | undefined, flags: TrainFlags) => {
      const config = parseConfig(trainInput(file, flags), file ?? 'the command line');
      let stopping = false;
      process.once('SIGINT', () => {
        stopping = true;
        say('stopping after this step; the checkpoint resumes with --resume (Ctrl-C again ends at once)');
      });
      await withDevice(config.adapter, async (device) => {
        const printer = stepPrinter();
        const report = await runTraining(config, device, { say: printer.say, onStep: printer.step, stop: () => stopping, resume: flags.resume ?? false });
        printer.end();
        print(flags.json ? JSON.stringify(report) : `${report.interrupted ? 'stopped' : 'done'} after ${report.steps} steps: ${report.out}`);
      });
    });
