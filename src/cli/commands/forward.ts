/** @file `ebb forward`: computes the results of a batch. */

import { forward } from '../../session/forward.ts';
import { type AdapterFlags, adapterOf, adapterOption, deviceOption } from '../../terminal/deviceFlags.ts';
import { print } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../addOptions.ts';

/** `ebb forward`. */
export const forwardCommand: AddOptions = (command) =>
  command
    .argument('<model>', 'checkpoint folder, GGUF file, hub id, or definition (.ts)')
    .requiredOption('--batch <file>', 'safetensors or JSON with input_ids, optional attention_mask; of a definition: safetensors with a tensor for each input')
    .option('--weights <path>', "of a definition: safetensors with the parameters' names")
    .requiredOption('--out <file>', 'safetensors file to write: logits, or loss, result.1, … of a definition')
    .option('--check', "look at every function's output, and name the first that is NaN or infinite (slow)")
    .addOption(adapterOption())
    .addOption(deviceOption())
    .action(async (model: string, flags: AdapterFlags & { batch: string; out: string; weights?: string; check?: boolean }) => {
      const { batch, out, weights, check } = flags;
      const written = await withProgress((watch) => forward(model, { batch, out, weights, check, ...adapterOf(flags), ...watch }));
      print(`${out}: ${written.map(({ name, dtype, shape }) => `${name} ${dtype.toLowerCase()} [${shape.join(', ')}]`).join(', ')}`);
    });
