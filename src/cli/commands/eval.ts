/** @file `ebb eval`: held-out loss. */

import { Command } from 'commander';
import { withDevice } from '../../node/device.ts';
import { count, print } from '../../trainer/options.ts';
import { runEval } from '../evaluate.ts';
import { type Adapters, adapterOption } from '../options.ts';

/** `ebb eval`. */
export const evalCommand = (): Command =>
  new Command('eval')
    .description('held-out loss of a model')
    .argument('<model>', 'checkpoint folder, GGUF file or hub id')
    .requiredOption('--data <file>', 'text, JSONL, or batches as safetensors')
    .option('--limit <n>', 'examples', count, 64)
    .option('--batch <n>', 'sequences at once', count, 1)
    .option('--length <n>', 'most tokens of a sequence', count, 256)
    .option('--json', 'print JSON')
    .addOption(adapterOption())
    .action(async (model: string, flags: { data: string; limit: number; batch: number; length: number; json?: boolean; adapter: Adapters }) => {
      const report = await withDevice(flags.adapter.device, (device) => runEval(model, { ...flags, adapter: flags.adapter.adapter }, device));
      print(
        flags.json
          ? JSON.stringify(report)
          : `loss ${report.loss.toFixed(4)}, perplexity ${report.perplexity.toFixed(2)}, ${report.examples} examples, ${report.tokens} tokens`,
      );
    });
