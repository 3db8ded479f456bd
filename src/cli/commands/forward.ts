/** @file `ebb forward`: logits of a batch. */

import { Command } from 'commander';
import { withDevice } from '../../node/device.ts';
import { print } from '../../trainer/options.ts';
import { forward } from '../forward.ts';
import { type Adapters, adapterOption } from '../options.ts';

/** `ebb forward`. */
export const forwardCommand = (): Command =>
  new Command('forward')
    .description('logits of a batch, for checking a port')
    .argument('<model>', 'checkpoint folder, GGUF file or hub id')
    .requiredOption('--batch <file>', 'safetensors or JSON with input_ids, optional attention_mask')
    .requiredOption('--out <file>', 'safetensors to write: tensor logits, f32')
    .addOption(adapterOption())
    .action(async (model: string, flags: { batch: string; out: string; adapter: Adapters }) => {
      const { shape } = await withDevice(flags.adapter.device, (device) => forward(model, { ...flags, adapter: flags.adapter.adapter }, device));
      print(`${flags.out}: logits f32 [${shape.join(', ')}]`);
    });
