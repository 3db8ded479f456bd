/** @file `ebb tune`: measures the schedules of a model's kernels before they are needed. */

import type { MatmulPrecision } from '../../codegen/kernel/matmul/work.ts';
import type { StoredType } from '../../formats/storedType.ts';
import { tune } from '../../session/library.ts';
import { type AdapterFlags, adapterOf, adapterOption, deviceOption } from '../../terminal/deviceFlags.ts';
import { positive, positiveNumber, print } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import { bookFile } from '../../tune/file.ts';
import type { AddOptions } from '../addOptions.ts';
import { DEFAULT_RANK, dtypeOption, wantedAdapter } from '../options.ts';
import { entriesText } from '../text/entries.ts';
import { precisionOption } from './precision.ts';

interface TuneFlags extends AdapterFlags {
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
    .addOption(adapterOption('the layers and ranks of a PEFT adapter: its folder, or that of a run'))
    .addOption(deviceOption())
    .action(async (model: string, flags: TuneFlags) => {
      const { batch, length, budget: seconds, matmulPrecision, dtype, json } = flags;
      const { device, adapter } = adapterOf(flags);
      const lora = wantedAdapter({ lora: flags.lora, rank: flags.rank, adapter });
      const options = { device, batch, length, lora, seconds, matmulPrecision, dtype };
      const { book, measured, left } = await withProgress((watch) => tune(model, { ...options, ...watch }));
      const file = bookFile(book.surroundings);
      if (json) return print(JSON.stringify({ file, measured, left }, null, 2));
      const known = Object.keys(book.entries).length;
      print(
        [
          ...(measured.length > 0 ? [entriesText(measured)] : []),
          `${measured.length} kernels measured, ${left} left, ${known} known on ${book.surroundings.adapter}: ${file}`,
        ].join('\n'),
      );
    });
