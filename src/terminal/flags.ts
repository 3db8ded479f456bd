/** @file The flags of a run, shared by `ebb train` and generated trainers. A flag overrides the key of the run file. */

import type { Command } from 'commander';
import { EbbError } from '../errors.ts';
import type { RunInput } from '../train/config.ts';
import { type DeviceFlags, deviceOf, deviceOption, oldDeviceOption } from './deviceFlags.ts';
import { count, nonNegative, number, positive } from './options.ts';

/** The flags as commander parses them. */
export interface RunFlags extends DeviceFlags {
  readonly data?: string;
  readonly evalData?: string;
  readonly out?: string;
  readonly steps?: number;
  readonly batch?: number;
  readonly length?: number;
  readonly accumulate?: number;
  readonly lr?: number;
  readonly dropRate?: number;
  readonly seed?: number;
  readonly memoryBudget?: string;
  readonly saveEvery?: number;
  readonly evalEvery?: number;
  readonly evalLimit?: number;
  readonly resume?: boolean;
  readonly json?: boolean;
}

/** Adds the flags of a run to a command. */
export function addRunFlags(command: Command): Command {
  return command
    .option('--data <file>', 'text, JSONL, batches as safetensors, or int32 tokens (.bin)')
    .option('--eval-data <file>', 'held-out data')
    .option('--out <dir>', 'run folder')
    .option('--steps <n>', 'optimizer steps', positive)
    .option('--batch <n>', 'sequences a micro-batch', positive)
    .option('--length <n>', 'most tokens of a sequence', positive)
    .option('--accumulate <n>', 'micro-batches a step', positive)
    .option('--lr <x>', 'learning rate', nonNegative)
    .option('--drop-rate <p>', 'share of the residual branches that get no backward in a step', number)
    .option('--seed <n>', 'seed of everything random', count)
    .option('--memory-budget <bytes>', 'most device memory of the run, e.g. 2GiB; to keep it, some branches run their forward again')
    .option('--save-every <n>', 'steps between checkpoints', count)
    .option('--eval-every <n>', 'steps between held-out evaluations', count)
    .option('--eval-limit <n>', 'held-out examples', positive)
    .option('--resume', 'go on from the newest checkpoint in the run folder')
    .option('--json', 'print the result as JSON')
    .addOption(deviceOption())
    .addOption(oldDeviceOption());
}

/** @throws EbbError for a flag about held-out evaluations where there is no held-out data */
function checkEvaluation(fromFile: Partial<RunInput>, { evalData, evalEvery, evalLimit }: RunFlags): void {
  const flag = evalEvery !== undefined && evalEvery > 0 ? '--eval-every' : evalLimit !== undefined ? '--eval-limit' : null;
  if (flag !== null && (evalData ?? fromFile.evalData) === undefined)
    throw new EbbError(`${flag}: there is no held-out data to evaluate; give --eval-data, or leave ${flag} out`);
}

/** Returns the keys of a run file, overridden by the flags that were given. @throws EbbError as `deviceOf` does, and for evaluations without held-out data */
export function runInput(fromFile: Partial<RunInput>, flags: RunFlags): Record<string, unknown> {
  const { data, evalData, out, steps, batch, length, accumulate, seed, saveEvery, evalEvery, evalLimit, memoryBudget, lr, dropRate } = flags;
  const device = deviceOf(flags);
  checkEvaluation(fromFile, flags);
  const plain = { data, evalData, out, steps, batch, length, accumulate, seed, saveEvery, evalEvery, evalLimit, memoryBudget };
  return {
    ...fromFile,
    ...Object.fromEntries(Object.entries(plain).filter(([, v]) => v !== undefined)),
    ...(lr === undefined ? {} : { optimizer: { name: 'adamw', ...(fromFile.optimizer as object | undefined), lr } }),
    ...(dropRate === undefined ? {} : { drop: dropRate === 0 ? { kind: 'none' } : { kind: 'uniform', rate: dropRate } }),
    ...(device === undefined ? {} : { device }),
  };
}
