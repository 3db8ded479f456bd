/** @file The options that a command line gives, and what is said of those that the command would not read. */

import type { Command } from 'commander';
import { EbbError } from '../errors.ts';
import { say } from '../terminal/options.ts';

/** Returns the names of the options that were given, without their dashes and in the order in which the command declares them. Defaults are not given. */
export function givenOptions(command: Command): readonly string[] {
  return command.options.filter((option) => command.getOptionValueSource(option.attributeName()) === 'cli').map((option) => option.name());
}

/** Returns the options that were given by their names as properties: `dropRate` for `--drop-rate`. */
export const givenAttributes = (command: Command): readonly string[] =>
  command.options.map((option) => option.attributeName()).filter((name) => command.getOptionValueSource(name) === 'cli');

/** @throws EbbError naming the first option of `unread` that was given. `why` says what the command does instead, and `remedy` what to do. */
export function refuseUnread(given: readonly string[], unread: readonly string[], why: string, remedy: (option: string) => string): void {
  const option = given.find((name) => unread.includes(name));
  if (option !== undefined) throw new EbbError(`--${option}: ${why}; ${remedy(`--${option}`)}`);
}

/** Says on stderr which options of `unread` were given, and that they change nothing. The command goes on. */
export function tellUnread(given: readonly string[], unread: readonly string[], why: string): void {
  const options = given.filter((name) => unread.includes(name)).map((name) => `--${name}`);
  if (options.length > 0) say(`${options.join(', ')}: ${why}, so ${options.length > 1 ? 'these options change' : 'this option changes'} nothing`);
}
