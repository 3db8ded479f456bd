/** @file A run as the library's functions take it, and its config. */

import { existsSync } from 'node:fs';
import { z } from 'zod';
import { dataFile } from '../data/fileKinds.ts';
import { isPattern } from '../data/locate.ts';
import { EbbError } from '../errors.ts';
import { isHubId } from '../formats/hub.ts';
import { checkOptions, type OptionShape, problemsText } from '../issues.ts';
import type { Watch } from '../run/progress.ts';
import { parseConfig, type RunConfig, type RunInput } from '../train/config.ts';
import type { OnDevice } from './device.ts';
import { ON_DEVICE, WATCH } from './optionKinds.ts';

/** The keys of a run (docs/training.md), and how it is watched. `model` and `data` are required. */
export interface RunOptions extends Omit<RunInput, '$schema' | 'device'>, OnDevice, Watch {
  /** The run file that the keys were read from, or what else errors should say that they come from. Default: the function. */
  readonly from?: string;
}

/** The options that are no keys of a run. */
const BESIDES: OptionShape<OnDevice & Watch & Pick<RunOptions, 'from'>> = { ...ON_DEVICE, ...WATCH, from: z.string() };

/** @throws EbbError where no options are given at all */
export function checkGiven(where: string, options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new EbbError(
      `${where}: is given ${options === null ? 'null' : typeof options}, expected the keys of a run: model, data and more; docs/training.md lists them`,
      'config',
    );
}

/**
 * The config of a run that options ask for. @param own the options that the function reads besides, and what they take
 * @throws EbbError naming every option that is wrong
 */
export function configOf(where: string, options: RunOptions, own: Readonly<Record<string, z.ZodType>>): RunConfig {
  checkGiven(where, options);
  const { device, from = where } = options;
  const besides = { ...BESIDES, ...own };
  const [keys, others]: [Record<string, unknown>, Record<string, unknown>] = [{}, {}];
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (Object.hasOwn(besides, key)) others[key] = value;
    else keys[key] = value;
  }
  checkOptions(from, { ...others, from }, besides);
  if (Object.hasOwn(keys, 'adapter'))
    throw new EbbError(`${from}: adapter: a run goes on with a PEFT adapter by lora: { from: … }, and a device is named by device`, 'config');
  const config = parseConfig({ ...keys, ...(typeof device === 'string' ? { device } : {}) }, from);
  checkThere(config, from);
  return config;
}

/** @throws EbbError naming every file that a run reads and that is not there, where there are several; one is said where it is opened */
function checkThere({ model, data, evalData, weights, lora }: RunConfig, from: string): void {
  // what looks like none of these may be an id of the hub
  const isPath = /^[./~]|\.(ts|gguf)$/.test(model);
  const isThere = (path: string): boolean => existsSync(path) || path === '-' || isPattern(path) || (isHubId(path) && dataFile(path) === null);
  const read = { ...(isPath ? { model } : {}), data, evalData, weights, 'lora.from': lora === false ? undefined : lora.from };
  const missing = Object.entries(read).flatMap(([key, path]) =>
    path === undefined || isThere(path) ? [] : [{ text: `${key}: ${path}: no such file or folder` }],
  );
  if (missing.length > 1) throw new EbbError(problemsText(from, missing, 'paths are relative to the folder in which the program runs'), 'file');
}
