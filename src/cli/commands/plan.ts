/** @file `ebb plan`: says what memory a run takes, and how long its sequences could be, without running it. */

import type { Command } from 'commander';
import type { StoredType } from '../../formats/storedType.ts';
import { withDevice } from '../../node/device.ts';
import { planRun, planText } from '../../session/plan.ts';
import type { RunFlags } from '../../terminal/flags.ts';
import { print } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../commands.ts';
import { givenOptions, tellUnread } from '../given.ts';
import { dtypeOption } from '../options.ts';
import { addModelRunFlags, RUNNING, runConfigOf } from '../runInput.ts';

/** `ebb plan`. */
export const planCommand: AddOptions = (command) =>
  addModelRunFlags(command.addOption(dtypeOption())).action(
    async (file: string | undefined, flags: RunFlags & { readonly dtype?: StoredType }, own: Command) => {
      tellUnread(givenOptions(own), RUNNING, 'ebb plan trains nothing');
      const config = runConfigOf(file, flags);
      await withDevice(config.device, async (device) => {
        const report = await withProgress((watch) => planRun(config, device, flags.dtype, watch));
        print(flags.json ? JSON.stringify(report, null, 2) : planText(report));
      });
    },
  );
