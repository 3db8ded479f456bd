/** @file The inputs of commands that take the config of a run: a run file, the flags of a run and those of its model. A flag overrides the file. */

import type { Command } from 'commander';
import { namedRunFile } from '../run/runFile.ts';
import { addModelFlags, addRunFlags, type RunFlags, runInput } from '../terminal/flags.ts';
import { say } from '../terminal/options.ts';
import { parseConfig, type RunConfig } from '../train/config.ts';

/** Adds the run file, and the flags of its keys. */
export const addModelRunFlags = (command: Command): Command => addRunFlags(addModelFlags(command.argument('[config]', 'run.yaml')));

/** The flags that only matter where a run trains. Commands that train nothing take them, so that their command line can be that of `ebb train`. */
export const RUNNING: readonly string[] = ['out', 'lr', 'weight-decay', 'schedule', 'warmup-steps', 'clip', 'save-every', 'eval-every', 'eval-limit', 'resume'];

/** Returns the config of a run file with the flags over it. @throws EbbError naming the file, or the command line, and every key that is wrong */
export function runConfigOf(file: string | undefined, flags: RunFlags): RunConfig {
  return parseConfig(runInput(namedRunFile(file, say), flags), file ?? 'the command line');
}
