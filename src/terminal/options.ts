/** @file What command lines share: parsers of options, the device's flag, where text goes. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { EbbError } from '../errors.ts';

/** To stderr: everything that is not the result. */
export const say = (line: string): void => void process.stderr.write(`${line}\n`);
/** To stdout: the result. */
export const print = (text: string): void => void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('expected a number.');
  return value;
}
export function count(text: string): number {
  return whole(text, 0);
}
/** A whole number of things, at least one. */
export function positive(text: string): number {
  return whole(text, 1);
}
function whole(text: string, least: number): number {
  const value = number(text);
  if (!Number.isInteger(value) || value < least) throw new InvalidArgumentError(`expected a whole number, ${least} or more.`);
  return value;
}
export function nonNegative(text: string): number {
  const value = number(text);
  if (value < 0) throw new InvalidArgumentError('expected a number, 0 or more.');
  return value;
}
export function positiveNumber(text: string): number {
  const value = number(text);
  if (value <= 0) throw new InvalidArgumentError('expected a number above 0.');
  return value;
}
/** A share of something: more than 0, at most 1. */
export function share(text: string): number {
  const value = number(text);
  if (value <= 0 || value > 1) throw new InvalidArgumentError('expected a number above 0, at most 1.');
  return value;
}
/** A share that may be nothing, or everything. */
export function rate(text: string): number {
  const value = number(text);
  if (value < 0 || value > 1) throw new InvalidArgumentError('expected a number from 0 to 1.');
  return value;
}
/** A share that is never everything. */
export function dropoutRate(text: string): number {
  const value = number(text);
  if (value < 0 || value > 0.99) throw new InvalidArgumentError('expected a number from 0 to 0.99.');
  return value;
}
/** Names between commas. */
export function list(text: string): string[] {
  const names = text.split(',').map((s) => s.trim());
  if (names.includes('')) throw new InvalidArgumentError(`expected names between commas, found ${text.trim() === '' ? 'none' : 'an empty one'}.`);
  return names;
}
/** An option that may be given again; its parser is handed what came before. */
export class RepeatableOption extends Option {}
/** A list between commas; given again, the option adds to it. */
export function listOption<T>(flags: string, description: string, parse: (text: string) => readonly T[], fallback?: readonly T[]): Option {
  const option = new RepeatableOption(flags, description).argParser((text: string, sofar: readonly T[] | undefined): readonly T[] => [
    ...new Set([...(sofar === undefined || sofar === fallback ? [] : sofar), ...parse(text)]),
  ]);
  return fallback === undefined ? option : option.default(fallback);
}
/** Has a command refuse options with a value that are given twice, where the first would be ignored in silence. */
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
/** The WebGPU adapter of a command that takes no PEFT adapter. */
export const deviceOption = (): Option =>
  new Option('--adapter <name>', 'WebGPU adapter: auto, gpu, lavapipe, swiftshader, or part of its name').default('auto');
