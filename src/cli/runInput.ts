/** @file What commands over a run's config take: a run file, and flags over it. */

import type { Command } from 'commander';
import { namedRunFile } from '../run/runFile.ts';
import { addModelFlags, addRunFlags, type RunFlags, runInput } from '../terminal/flags.ts';
import { say } from '../terminal/options.ts';
import { parseConfig, type RunConfig } from '../train/config.ts';

/** Adds the run file, and the flags of its keys. */
export const addModelRunFlags = (command: Command): Command => addRunFlags(addModelFlags(command.argument('[config]', 'run.yaml')));

/** The config of a run file with the flags over it. @throws EbbError naming the file, or the command line, and every key that is wrong */
export function runConfigOf(file: string | undefined, flags: RunFlags): RunConfig {
  return parseConfig(runInput(namedRunFile(file, say), flags), file ?? 'the command line');
}
