/** @file `ebb doctor`: says what this machine offers. */

import { Option } from 'commander';
import { profileText } from '../../compile/devices/file.ts';
import { withDevice } from '../../node/device.ts';
import { doctor } from '../../session/doctor.ts';
import { type DeviceFlags, deviceOf, deviceOption, oldDeviceOption } from '../../terminal/deviceFlags.ts';
import { print } from '../../terminal/options.ts';
import type { AddOptions } from '../addOptions.ts';
import { doctorText } from '../text/doctor.ts';
import { entriesText } from '../text/entries.ts';

/** `ebb doctor`. */
export const doctorCommand: AddOptions = (command) =>
  command
    .option('--schedules', 'list the kernels whose schedules were measured, and why each schedule won; --json always has the list')
    .option('--json', 'print JSON')
    .addOption(
      new Option('--profile', 'print the device as a profile, which ebb compile --device takes on another machine; nothing is measured').conflicts([
        'json',
        'schedules',
      ]),
    )
    .addOption(deviceOption())
    .addOption(oldDeviceOption())
    .action(async (flags: DeviceFlags & { json?: boolean; schedules?: boolean; profile?: boolean }) => {
      const device = deviceOf(flags);
      if (flags.profile) return print(await withDevice(device, async (opened) => profileText(opened.device.profile)));
      const report = await doctor({ device });
      const { entries } = report.schedules;
      const listed = flags.schedules && entries.length > 0 ? `\n${entriesText(entries)}` : '';
      print(flags.json ? JSON.stringify(report, null, 2) : `${doctorText(report)}${listed}`);
    });
