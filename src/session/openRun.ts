/** @file `openRun`: a run whose loop is its caller's. */

import type { OptionShape } from '../issues.ts';
import { openHeld } from '../run/heldRun.ts';
import { openClaimed } from '../run/lock.ts';
import type { GoingOn, OpenRun } from '../run/openRun.ts';
import { checkRunFolder } from '../run/runFolder.ts';
import { holdOn } from './device.ts';
import { flag, names } from './optionKinds.ts';
import { configOf, type RunOptions } from './runOptions.ts';
import { openModelRun } from './train.ts';

/** A run, and whether it goes on. */
export interface OpenRunOptions extends RunOptions, GoingOn {}

/** What is said of a run that goes on. */
export const GOING_ON: OptionShape<GoingOn> = { resume: flag, accept: names, extend: flag };

/**
 * Opens a run: its data, its folder, every parameter at its start. `finetune` opens one, goes through its steps, saves and closes it. An abort
 * ends the steps after those that are under way, and rejects before the first one.
 * @throws EbbError for options, data, a model, a folder or a device that cannot be used
 */
export async function openRun(options: OpenRunOptions): Promise<OpenRun> {
  const config = configOf('openRun()', options, GOING_ON);
  const { resume, accept, extend, onProgress, signal, device = config.device, from } = options;
  const going = { resume, accept, extend };
  checkRunFolder(config, going, from);
  const watch = { onProgress, signal };
  return openClaimed(config.out, async (claim) =>
    openHeld(await holdOn(device, watch), (opened) => openModelRun(config, opened, { ...watch, ...going, claim })),
  );
}
