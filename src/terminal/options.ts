/** @file What command lines share: parsers of options, and where text goes. */

import { InvalidArgumentError } from 'commander';

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
export const list = (text: string): string[] =>
  text
    .split(',')
    .map((s) => s.trim())
    .filter((s) => s !== '');
