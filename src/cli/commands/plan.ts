/** @file `ebb plan`: says what memory a run takes, and how long its sequences could be, without running it. */

import type { Command } from 'commander';
import type { StoredType } from '../../formats/storedType.ts';
import { plan } from '../../session/library.ts';
import type { RunFlags } from '../../terminal/flags.ts';
import { print } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../addOptions.ts';
import { givenOptions, tellUnread } from '../given.ts';
import { dtypeOption } from '../options.ts';
import { addModelRunFlags, RUNNING, runOptionsOf } from '../runInput.ts';
import { planText } from '../text/plan.ts';

interface PlanFlags extends RunFlags {
  readonly dtype?: StoredType;
}

/** `ebb plan`. */
export const planCommand: AddOptions = (command) =>
  addModelRunFlags(command.addOption(dtypeOption())).action(async (file: string | undefined, flags: PlanFlags, own: Command) => {
    tellUnread(givenOptions(own), RUNNING, 'ebb plan trains nothing');
    const { dtype } = flags;
    const report = await withProgress((watch) => plan({ ...runOptionsOf(file, flags), ...watch, ...(dtype === undefined ? {} : { dtype }) }));
    print(flags.json ? JSON.stringify(report, null, 2) : planText(report));
  });
