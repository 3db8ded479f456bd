/** @file `ebb forward`: what a model makes of a batch. */

import { Command } from 'commander';
import { withDevice } from '../../node/device.ts';
import { print } from '../../terminal/options.ts';
import { forward } from '../forward.ts';
import { type Adapters, adapterOption } from '../options.ts';

/** `ebb forward`. */
export const forwardCommand = (): Command =>
  new Command('forward')
    .description('logits of a batch, or what a definition returns for it, for checking a port')
    .argument('<model>', 'checkpoint folder, GGUF file, hub id, or definition (.ts)')
    .requiredOption('--batch <file>', 'safetensors or JSON with input_ids, optional attention_mask; of a definition: safetensors with a tensor for each input')
    .option('--weights <path>', "of a definition: safetensors with the parameters' names")
    .requiredOption('--out <file>', 'safetensors to write: logits; of a definition loss, result.1, …')
    .addOption(adapterOption())
    .action(async (model: string, flags: { batch: string; out: string; weights?: string; adapter: Adapters }) => {
      const written = await withDevice(flags.adapter.device ?? 'auto', (device) => forward(model, { ...flags, adapter: flags.adapter.adapter }, device));
      print(`${flags.out}: ${written.map(({ name, dtype, shape }) => `${name} ${dtype.toLowerCase()} [${shape.join(', ')}]`).join(', ')}`);
    });
