/** @file The inputs of commands that take the config of a run: a run file, the flags of a run and those of its model. A flag overrides the file. */

import type { Command } from 'commander';
import { type InputPath, inputsOf } from '../run/outputs.ts';
import { namedRunFile } from '../run/runFile.ts';
import type { RunOptions } from '../session/runOptions.ts';
import { addModelFlags, addRunFlags, type RunFlags, runInput } from '../terminal/flags.ts';
import { say } from '../terminal/options.ts';

/** Adds the run file, and the flags of its keys. */
export const addModelRunFlags = (command: Command): Command => addRunFlags(addModelFlags(command.argument('[config]', 'run.yaml')));

/** The flags that only matter where a run trains. Commands that train nothing take them, so that their command line can be that of `ebb train`. */
export const RUNNING: readonly string[] = [
  'out',
  'lr',
  'weight-decay',
  'schedule',
  'warmup-steps',
  'clip',
  'save-every',
  'eval-every',
  'eval-limit',
  'patience',
  'resume',
  'accept',
  'extend',
];

/** Returns the keys of a run file with the flags over them. The library checks them, and its errors name the file, or the command line. */
export function runOptionsOf(file: string | undefined, flags: RunFlags): RunOptions {
  const { $schema: _editors, ...keys } = runInput(namedRunFile(file, say), flags);
  return { ...(keys as unknown as RunOptions), from: file ?? 'the command line' };
}

/** The files that a run reads. */
export function inputsOfRun({ model, weights, data, evalData, lora, from }: RunOptions): InputPath[] {
  const adapter = typeof lora === 'object' ? lora.from : undefined;
  return inputsOf({ model, weights, data, evalData, 'lora.from': adapter, 'the run file': from });
}
