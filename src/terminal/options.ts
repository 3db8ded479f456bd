/** @file What command lines share: parsers of option values, and the two streams that text goes to. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { EbbError } from '../errors.ts';

/** Writes a line to stderr, which takes everything that is not the result. */
export const say = (line: string): void => void process.stderr.write(`${line}\n`);
/**
 * Goes on where a reader stops reading (`ebb inspect … | head`): what is written for it is left out, as the work behind it is worth more than the
 * lines. What else goes wrong with stdout, such as a full disk, is told at the end by the exit code.
 */
export function outliveReaders(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED' || process.exitCode === 1) return;
    process.exitCode = 1;
    say(`the result cannot be written: ${error.message}`);
  });
  process.stderr.on('error', () => {});
}

/** Writes the result to stdout. */
export const print = (text: string): void => void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);

/** Parses a finite number. @throws InvalidArgumentError, as the parsers below do */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number.');
  return value;
}
/** Parses a whole number, 0 or more. */
export function count(text: string): number {
  return whole(text, 0);
}
/** Parses a whole number, 1 or more. */
export function positive(text: string): number {
  return whole(text, 1);
}
function whole(text: string, least: number): number {
  const value = number(text);
  if (!Number.isInteger(value) || value < least) throw new InvalidArgumentError(`expected a whole number, ${least} or more.`);
  return value;
}
/** Parses a number, 0 or more. */
export function nonNegative(text: string): number {
  const value = number(text);
  if (value < 0) throw new InvalidArgumentError('expected a number, 0 or more.');
  return value;
}
/** Parses a number above 0. */
export function positiveNumber(text: string): number {
  const value = number(text);
  if (value <= 0) throw new InvalidArgumentError('expected a number above 0.');
  return value;
}
/** Parses a share that is not nothing: above 0, at most 1. */
export function share(text: string): number {
  const value = number(text);
  if (value <= 0 || value > 1) throw new InvalidArgumentError('expected a number above 0, at most 1.');
  return value;
}
/** Parses a rate from 0 to 1, both included. */
export function rate(text: string): number {
  const value = number(text);
  if (value < 0 || value > 1) throw new InvalidArgumentError('expected a number from 0 to 1.');
  return value;
}
/** Parses a dropout rate from 0 to 0.99. */
export function dropoutRate(text: string): number {
  const value = number(text);
  if (value < 0 || value > 0.99) throw new InvalidArgumentError('expected a number from 0 to 0.99.');
  return value;
}
/** Parses names that are separated by commas. @throws InvalidArgumentError for an empty name */
export function list(text: string): string[] {
  const names = text.split(',').map((s) => s.trim());
  if (names.includes('')) throw new InvalidArgumentError(`expected names between commas, found ${text.trim() === '' ? 'none' : 'an empty one'}.`);
  return names;
}
/** An option that may be given several times. Its parser is given the value so far. */
export class RepeatableOption extends Option {}
/** Makes an option that takes a list separated by commas. Where it is given again, it adds to the list. */
export function listOption<T>(flags: string, description: string, parse: (text: string) => readonly T[], fallback?: readonly T[]): Option {
  const option = new RepeatableOption(flags, description).argParser((text: string, sofar: readonly T[] | undefined): readonly T[] => [
    ...new Set([...(sofar === undefined || sofar === fallback ? [] : sofar), ...parse(text)]),
  ]);
  return fallback === undefined ? option : option.default(fallback);
}
/** Makes a command refuse options that are given twice, where the first value would be ignored in silence. */
export function eachOnce(command: Command): Command {
  for (const option of command.options) {
    if (option instanceof RepeatableOption || option.variadic || option.isBoolean()) continue;
    let first: string | null | undefined;
    command.on(`option:${option.name()}`, (value: string | null) => {
      if (first !== undefined) throw new EbbError(`--${option.name()} is given twice, as ${first ?? 'a flag'} and as ${value ?? 'a flag'}; give it once`);
      first = value;
    });
  }
  return command;
}
