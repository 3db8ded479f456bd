/** @file `ebb doctor`: the machine. */

import { Command } from 'commander';
import { withDevice } from '../../node/device.ts';
import { deviceOption, print } from '../../terminal/options.ts';
import { doctor, doctorText } from '../doctor.ts';
import { entriesText } from '../tune.ts';

/** `ebb doctor`. */
export const doctorCommand = (): Command =>
  new Command('doctor')
    .description('adapters, limits and measured speed of this machine')
    .option('--schedules', 'list the kernels whose schedules were measured, and why each won')
    .option('--json', 'print JSON')
    .addOption(deviceOption())
    .action(async (flags: { json?: boolean; schedules?: boolean; adapter: string }) => {
      const report = await withDevice(flags.adapter, doctor);
      const { entries } = report.schedules;
      const listed = flags.schedules && entries.length > 0 ? `\n${entriesText(entries)}` : '';
      print(flags.json ? JSON.stringify(report, null, 2) : `${doctorText(report)}${listed}`);
    });
