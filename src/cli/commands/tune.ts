/** @file `ebb tune`: measures the schedules of a model's kernels before they are needed. */

import type { MatmulPrecision } from '../../codegen/kernel/matmul/work.ts';
import { EbbError } from '../../errors.ts';
import type { StoredType } from '../../formats/storedType.ts';
import { withDevice } from '../../node/device.ts';
import { checkSizes, describeSource } from '../../session/source.ts';
import { entriesText, tuneModel } from '../../session/tune.ts';
import { type DeviceFlags, deviceOf, deviceOption, oldDeviceOption } from '../../terminal/deviceFlags.ts';
import { positive, positiveNumber, print } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import { bookFile, tuningAllowed } from '../../tune/file.ts';
import type { AddOptions } from '../commands.ts';
import { DEFAULT_RANK, dtypeOption, freshAdapter } from '../options.ts';
import { precisionOption, tellPrecision } from './precision.ts';

interface TuneFlags extends DeviceFlags {
  readonly batch?: number;
  readonly length?: number;
  readonly lora?: boolean;
  readonly rank?: number;
  readonly budget: number;
  readonly matmulPrecision: MatmulPrecision;
  readonly dtype?: StoredType;
  readonly json?: boolean;
}

/** `ebb tune`. */
export const tuneCommand: AddOptions = (command) =>
  command
    .argument('<model>', 'checkpoint folder, GGUF file, hub id, or model definition (.ts)')
    .option('--batch <n>', 'sequences; default 1, or as the definition says', positive)
    .option('--length <n>', 'tokens of a sequence; default 256, or as the definition says', positive)
    .option('--lora', 'measure the kernels of training a low-rank adapter on all linear layers')
    .option('--rank <n>', `rank of the adapter; default ${DEFAULT_RANK}`, positive)
    .option('--budget <seconds>', 'most time to spend', positiveNumber, 300)
    .addOption(precisionOption())
    .addOption(dtypeOption())
    .option('--json', 'print JSON')
    .addOption(deviceOption())
    .addOption(oldDeviceOption())
    .action(async (model: string, flags: TuneFlags) => {
      if (!tuningAllowed()) throw new EbbError('EBB_TUNE=off turns tuning off; unset it to measure');
      await withDevice(deviceOf(flags), (device) =>
        withProgress(async (watch) => {
          tellPrecision(flags.matmulPrecision, device.device.profile);
          const source = await describeSource(model, flags.dtype, watch);
          const sizes = { batch: flags.batch ?? null, length: flags.length ?? null };
          checkSizes(model, source, sizes);
          const traced = source.trace({ ...sizes, lora: freshAdapter(flags) });
          const { book, measured, left } = await tuneModel(traced, { ...device, matmulPrecision: flags.matmulPrecision }, flags.budget, watch);
          const file = bookFile(book.surroundings);
          if (flags.json) print(JSON.stringify({ file, measured, left }, null, 2));
          else
            print(
              [
                ...(measured.length > 0 ? [entriesText(measured)] : []),
                `${measured.length} kernels measured, ${left} left, ${Object.keys(book.entries).length} known on ${device.device.profile.name}: ${file}`,
              ].join('\n'),
            );
        }),
      );
    });
