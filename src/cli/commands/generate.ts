/** @file `ebb generate`: continue a prompt. */

import { Command } from 'commander';
import { withDevice } from '../../node/device.ts';
import { type AdapterFlags, adapterOf, adapterOption, deviceOption } from '../../terminal/deviceFlags.ts';
import { count, nonNegative, positive, print, share } from '../../terminal/options.ts';
import { runGenerate } from '../generate.ts';

/** `ebb generate`. */
export const generateCommand = (): Command =>
  new Command('generate')
    .description('continue a prompt')
    .argument('<model>', 'checkpoint folder, GGUF file or hub id')
    .requiredOption('--prompt <text>', 'text to continue')
    .option('--chat', "render the prompt as a user's turn by the model's chat template", false)
    .option('--max-new-tokens <n>', 'tokens to make', positive, 128)
    .option('--temperature <x>', '0 is greedy', nonNegative, 0)
    .option('--top-k <n>', 'keep the k likeliest tokens; 0 keeps all', count, 0)
    .option('--top-p <x>', 'keep the likeliest tokens of this probability, above 0 and at most 1', share, 1)
    .option('--seed <n>', 'seed of sampling', count, 0)
    .addOption(adapterOption())
    .addOption(deviceOption())
    .action(async (model: string, flags: Omit<Parameters<typeof runGenerate>[1], 'adapter'> & AdapterFlags) => {
      const { device, adapter } = adapterOf(flags);
      await withDevice(device, (opened) => runGenerate(model, { ...flags, adapter }, opened, (piece) => void process.stdout.write(piece)));
      print('');
    });
