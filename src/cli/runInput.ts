/** @file What commands over a run's config take: a run file, flags over it, and those of the model. */

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

export function addModelRunFlags(command: Command): Command {
  return addRunFlags(
    command
      .argument('[config]', 'run.yaml')
      .option('--model <path>', 'checkpoint folder, GGUF file, hub id or definition (.ts)')
      .option('--weights <path>', "of a definition: safetensors with the parameters' names; without it all parameters are drawn anew")
      .option('--lora', 'train a low-rank adapter instead of all weights')
      .option('--rank <n>', 'rank of the adapter', positive)
      .option('--alpha <x>', 'alpha of the adapter', positiveNumber),
  );
}

/** Flags over the file's keys. */
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
