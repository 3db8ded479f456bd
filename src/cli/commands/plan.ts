/** @file `ebb plan`: what memory a run takes, and how long its sequences could be, without running it. */

import { Command } from 'commander';
import type { StoredType } from '../../formats/storedType.ts';
import { withDevice } from '../../node/device.ts';
import type { RunFlags } from '../../terminal/flags.ts';
import { print } from '../../terminal/options.ts';
import { dtypeOption } from '../options.ts';
import { planRun, planText } from '../plan.ts';
import { addModelRunFlags, runConfigOf } from '../runInput.ts';

/** `ebb plan`. */
export const planCommand = (): Command =>
  addModelRunFlags(
    new Command('plan')
      .description('say what device memory a run takes, to the byte, without running it; under a memory budget, the longest sequences too')
      .addOption(dtypeOption()),
  ).action(async (file: string | undefined, flags: RunFlags & { readonly dtype?: StoredType }) => {
    const config = runConfigOf(file, flags);
    await withDevice(config.device, async (device) => {
      const report = await planRun(config, device, flags.dtype);
      print(flags.json ? JSON.stringify(report, null, 2) : planText(report));
    });
  });
