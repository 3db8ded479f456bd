/** @file What command lines share: parsers of option values, the option of the device, and the two streams that text goes to. */

import { InvalidArgumentError, Option } from 'commander';

/** Writes a line to stderr, which takes everything that is not the result. */
export const say = (line: string): void => void process.stderr.write(`${line}\n`);
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
/** Parses names that are separated by commas. */
export const list = (text: string): string[] =>
  text
    .split(',')
    .map((s) => s.trim())
    .filter((s) => s !== '');
/** The option that chooses the WebGPU adapter. Commands that also take a PEFT adapter do not use it. */
export const deviceOption = (): Option =>
  new Option('--adapter <name>', 'WebGPU adapter: auto, gpu, lavapipe, swiftshader, or part of its name').default('auto');
