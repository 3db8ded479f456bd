/** @file What command lines share: parsers of options, the device's flag, where text goes. */

import { InvalidArgumentError, Option } from 'commander';

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
  const value = number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number, 0 or more.');
  return value;
}
/** Names between commas. */
export const list = (text: string): string[] =>
  text
    .split(',')
    .map((s) => s.trim())
    .filter((s) => s !== '');
/** The WebGPU adapter of a command that takes no PEFT adapter. */
export const deviceOption = (): Option =>
  new Option('--adapter <name>', 'WebGPU adapter: auto, gpu, lavapipe, swiftshader, or part of its name').default('auto');
