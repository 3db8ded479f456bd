/** @file The inputs of commands that take the config of a run: a run file, the flags of a run and those of its model. A flag overrides the file. */

import type { Command } from 'commander';
import { namedRunFile } from '../run/runFile.ts';
import { addRunFlags, type RunFlags, runInput } from '../terminal/flags.ts';
import { positive, positiveNumber, say } from '../terminal/options.ts';

/** Flags of a run over any model. */
export interface ModelRunFlags extends RunFlags {
  readonly model?: string;
  readonly weights?: string;
  readonly lora?: boolean;
  readonly rank?: number;
  readonly alpha?: number;
}

/** The flags that only matter where a run trains. Commands that train nothing take them, so that their command line can be that of `ebb train`. */
export const RUNNING: readonly string[] = ['out', 'lr', 'save-every', 'eval-every', 'eval-limit', 'resume'];

/** Adds the flags of a run over any model, and the run file, to a command. */
export function addModelRunFlags(command: Command): Command {
  return addRunFlags(
    command
      .argument('[config]', 'run.yaml')
      .option('--model <path>', 'checkpoint folder, GGUF file, hub id or definition (.ts)')
      .option('--weights <path>', "weights of a definition: safetensors with the parameters' names; without it all parameters are drawn anew")
      .option('--lora', 'train a low-rank adapter instead of all weights')
      .option('--rank <n>', 'rank of the adapter', positive)
      .option('--alpha <x>', 'alpha of the adapter', positiveNumber),
  );
}

/** Returns the keys of the run file, overridden by the flags. @throws EbbError for a file that cannot be read, and flags that contradict each other */
export function modelRunInput(file: string | undefined, flags: ModelRunFlags): Record<string, unknown> {
  const fromFile = namedRunFile(file, say);
  const { model, weights, lora, rank, alpha } = flags;
  const adapted = lora === true || rank !== undefined || alpha !== undefined;
  return {
    ...runInput(fromFile, flags),
    ...(model === undefined ? {} : { model }),
    ...(weights === undefined ? {} : { weights }),
    ...(adapted ? { lora: { ...(typeof fromFile.lora === 'object' ? fromFile.lora : {}), ...(rank && { rank }), ...(alpha && { alpha }) } } : {}),
  };
}
