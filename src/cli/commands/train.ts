/** @file `ebb train`: fine-tunes a model. */

import { during } from '../../run/progress.ts';
import type { RunFlags } from '../../terminal/flags.ts';
import { positive } from '../../terminal/options.ts';
import { commandRun } from '../../trainer/commandRun.ts';
import type { AddOptions } from '../addOptions.ts';
import { addModelRunFlags, runOptionsOf } from '../runInput.ts';

interface TrainFlags extends RunFlags {
  readonly profile?: number | boolean;
}

/** The number of steps that `--profile [steps]` asks for. */
const profiledSteps = (profile: TrainFlags['profile']): number => (typeof profile === 'number' ? profile : profile === true ? 1 : 0);

/** `ebb train`. */
export const trainCommand: AddOptions = (command) =>
  addModelRunFlags(
    command.option(
      '--profile [steps]',
      'time every kernel of some steps (default 1); tables on stderr, traces for chrome://tracing in the run folder',
      positive,
    ),
  ).action((file: string | undefined, flags: TrainFlags) =>
    commandRun(flags, async (watch) => {
      const options = { ...runOptionsOf(file, flags), ...watch, profile: profiledSteps(flags.profile) };
      // the library is the larger part of the program: a word is said before it is loaded
      const { finetune } = await during(watch, 'starting', () => import('../../session/finetune.ts'));
      return finetune(options);
    }),
  );
