/** @file `ebb grad`: computes the gradients of a batch. */

import { grad } from '../../session/forward.ts';
import { type AdapterFlags, adapterOf, adapterOption, deviceOption } from '../../terminal/deviceFlags.ts';
import { list, listOption, print } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../addOptions.ts';

/** `ebb grad`. */
export const gradCommand: AddOptions = (command) =>
  command
    .argument('<model>', 'checkpoint folder, GGUF file, hub id, or definition (.ts)')
    .requiredOption(
      '--batch <file>',
      'safetensors or JSON with input_ids, labels, optional attention_mask; of a definition: safetensors with a tensor for each input',
    )
    .option('--weights <path>', "of a definition: safetensors with the parameters' names")
    .addOption(listOption('--drop <units>', 'units without backward, e.g. layers.0.attn,layers.1.mlp', list, []))
    .option('--out <file>', 'safetensors file to write the gradients to')
    .option('--json', 'print JSON')
    .addOption(adapterOption())
    .addOption(deviceOption())
    .action(async (model: string, flags: AdapterFlags & { batch: string; out?: string; weights?: string; drop: string[]; json?: boolean }) => {
      const { batch, out, weights, drop } = flags;
      const report = await withProgress((watch) => grad(model, { batch, out, weights, drop, ...adapterOf(flags), ...watch }));
      print(
        flags.json ? JSON.stringify(report) : `loss ${report.loss}; ${Object.keys(report.norms).length} gradients, ${report.absent.length} parameters without`,
      );
    });
