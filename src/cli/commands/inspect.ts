/** @file `ebb inspect`: the IR at any stage. */

import { Command, Option } from 'commander';
import { withDevice } from '../../node/device.ts';
import type { LoraOptions } from '../../session.ts';
import { count, deviceOption, list, number, print } from '../../trainer/options.ts';
import { inspectDump, inspectModel, STAGES, type Stage } from '../inspect.ts';

interface InspectFlags {
  readonly stage?: Stage;
  readonly drop?: string[];
  readonly dropRate?: number;
  readonly seed: number;
  readonly cost?: boolean;
  readonly locs?: boolean;
  readonly batch: number;
  readonly length: number;
  readonly lora?: boolean;
  readonly rank: number;
  readonly json?: boolean;
  readonly adapter: string;
}

/** `ebb inspect`. */
export const inspectCommand = (): Command =>
  new Command('inspect')
    .description('the IR of a model at any stage, or what a drop pattern costs; a dump.ebb is parsed and printed')
    .argument('<model>', 'checkpoint folder, GGUF file, or a .ebb dump')
    .addOption(new Option('--stage <stage>', 'stage to print').choices([...STAGES]))
    .option('--drop <units>', 'units without backward', list)
    .option('--drop-rate <p>', 'draw a pattern with this rate', number)
    .option('--seed <n>', 'seed of the pattern', count, 0)
    .option('--cost', 'FLOPs and bytes behind each line')
    .option('--locs', 'source lines behind each op')
    .option('--batch <n>', 'sequences', count, 1)
    .option('--length <n>', 'tokens of a sequence', count, 256)
    .option('--lora', 'with a low-rank adapter on all linear layers')
    .option('--rank <n>', 'rank of the adapter', count, 8)
    .option('--json', 'print JSON')
    .addOption(deviceOption())
    .action(async (model: string, flags: InspectFlags) => {
      if (model.endsWith('.ebb')) return print(inspectDump(model));
      const lora: LoraOptions | null = flags.lora ? { layers: ['*'], rank: flags.rank, alpha: 2 * flags.rank, rslora: false, dropout: 0 } : null;
      const result = await withDevice(flags.adapter, async ({ traits, device }) =>
        inspectModel(model, {
          ...flags,
          stage: flags.stage,
          drop: flags.drop,
          dropRate: flags.dropRate,
          cost: flags.cost ?? false,
          locs: flags.locs ?? false,
          lora,
          traits,
          maxBuffers: device.limits.maxStorageBuffersPerShaderStage,
        }),
      );
      print(flags.json ? JSON.stringify(result.json, null, 2) : result.text);
    });
