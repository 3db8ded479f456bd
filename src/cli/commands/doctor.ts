/** @file `ebb doctor`: the machine. */

import { Command } from 'commander';
import { withDevice } from '../../node/device.ts';
import { deviceOption, print } from '../../trainer/options.ts';
import { doctor, doctorText } from '../doctor.ts';

/** `ebb doctor`. */
export const doctorCommand = (): Command =>
  new Command('doctor')
    .description('adapters, limits and measured speed of this machine')
    .option('--json', 'print JSON')
    .addOption(deviceOption())
    .action(async (flags: { json?: boolean; adapter: string }) => {
      const report = await withDevice(flags.adapter, doctor);
      print(flags.json ? JSON.stringify(report, null, 2) : doctorText(report));
    });
