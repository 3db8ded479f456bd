/** @file `ebb train`: fine-tunes a model. */

import { join } from 'node:path';
import { type CommandDevice, withDevice } from '../../node/device.ts';
import { tell } from '../../run/progress.ts';
import type { TrainHooks, TrainReport } from '../../run/run.ts';
import { checkRunFolder } from '../../run/runFolder.ts';

import type { DispatchTime } from '../../runtime/dispatchTimes.ts';
import { writeProfile } from '../../session/profile.ts';
import { trainModel } from '../../session/train.ts';
import type { RunFlags } from '../../terminal/flags.ts';
import { positive } from '../../terminal/options.ts';
import { commandRun } from '../../trainer/commandRun.ts';
import type { AddOptions } from '../commands.ts';
import { addModelRunFlags, runConfigOf } from '../runInput.ts';

interface TrainFlags extends RunFlags {
  readonly profile?: number | boolean;
}

/** `ebb train`. */
export const trainCommand: AddOptions = (command) =>
  addModelRunFlags(
    command.option(
      '--profile [steps]',
      'time every kernel of some steps (default 1); tables on stderr, traces for chrome://tracing in the run folder',
      positive,
    ),
  ).action(async (file: string | undefined, flags: TrainFlags) => {
    const config = runConfigOf(file, flags);
    checkRunFolder(config.out, flags.resume ?? false, config, file);
    const train = async (device: CommandDevice, hooks: TrainHooks): Promise<TrainReport> => {
      if (flags.profile === undefined || flags.profile === false) return trainModel(config, device, hooks);
      const steps: (readonly DispatchTime[])[] = [];
      const timed = { steps: flags.profile === true ? 1 : flags.profile, report: (_step: number, times: readonly DispatchTime[]) => void steps.push(times) };
      const report = await trainModel(config, device, { ...hooks, timed });
      tell(hooks, steps.length > 0 ? await writeProfile(join(config.out, 'profile'), steps, device) : 'nothing was profiled: the run has fewer than 3 steps');
      return report;
    };
    await commandRun(flags, (hooks) => withDevice(config.device, (device) => train(device, hooks)));
  });
