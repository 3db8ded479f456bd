/** @file `ebb demo`: trains the bundled model. */

import { withDevice } from '../../node/device.ts';
import { type DeviceFlags, deviceOf, deviceOption, oldDeviceOption } from '../../terminal/deviceFlags.ts';
import { positive, print } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../addOptions.ts';
import { DEMO_STEPS, runDemo } from '../demo.ts';

/** `ebb demo`. */
export const demoCommand: AddOptions = (command) =>
  command
    .option('--steps <n>', 'optimizer steps', positive, DEMO_STEPS)
    .addOption(deviceOption())
    .addOption(oldDeviceOption())
    .action(async (flags: DeviceFlags & { steps: number }) => {
      await withDevice(deviceOf(flags), async (device) => {
        const report = await withProgress((watch) => runDemo(device, flags.steps, watch));
        const { before, after } = report.heldOut;
        print(report.table);
        print(`held-out loss ${before.toFixed(4)} -> ${after.toFixed(4)} (${(100 * (1 - after / before)).toFixed(1)} % lower)`);
      });
    });
