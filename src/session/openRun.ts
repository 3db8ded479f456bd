/** @file `openRun`: a run whose loop is its caller's. */

import type { OptionShape } from '../issues.ts';
import { openHeld } from '../run/heldRun.ts';
import type { OpenRun } from '../run/openRun.ts';
import { checkRunFolder } from '../run/runFolder.ts';
import { holdOn } from './device.ts';
import { flag } from './optionKinds.ts';
import { configOf, type RunOptions } from './runOptions.ts';
import { openModelRun } from './train.ts';

/** A run, and whether it goes on. */
export interface OpenRunOptions extends RunOptions {
  /** Whether the run goes on from the newest checkpoint in its folder. */
  readonly resume?: boolean | undefined;
}

const OWN: OptionShape<Omit<OpenRunOptions, keyof RunOptions>> = { resume: flag };

/**
 * Opens a run: its data, its folder, every parameter at its start. `finetune` opens one, goes through its steps, saves and closes it. An abort
 * ends the steps after those that are under way, and rejects before the first one.
 * @throws EbbError for options, data, a model, a folder or a device that cannot be used
 */
export async function openRun(options: OpenRunOptions): Promise<OpenRun> {
  const config = configOf('openRun()', options, OWN);
  const { resume = false, onProgress, signal, device = config.device, from } = options;
  checkRunFolder(config.out, resume, config, from);
  const watch = { onProgress, signal };
  return openHeld(await holdOn(device, watch), (opened) => openModelRun(config, opened, { ...watch, resume }));
}
