/** @file `ebb eval`: computes a held-out loss. */

import { type EvaluateOptions, loadModel } from '../../session/loadModel.ts';
import { type AdapterFlags, adapterOf, adapterOption, deviceOption } from '../../terminal/deviceFlags.ts';
import { positive, print } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../addOptions.ts';
import { fieldNames } from '../options.ts';

/** `ebb eval`. */
export const evalCommand: AddOptions = (command) =>
  command
    .argument('<model>', 'checkpoint folder, GGUF file or hub id')
    .requiredOption('--data <file>', 'text, JSONL, or batches as safetensors')
    .option('--limit <n>', 'most examples: records, pieces of text, or sequences of ready batches', positive, 64)
    .option('--batch <n>', 'sequences at once', positive, 1)
    .option('--length <n>', 'most tokens of a sequence', positive, 256)
    .option('--fields <names>', "names of a record's fields: text=…, or prompt=…,completion=…", fieldNames, {})
    .option('--json', 'print JSON')
    .option('--chat-template <file>', "chat template: a Jinja file, or the name of one of the model's")
    .addOption(adapterOption())
    .addOption(deviceOption())
    .action(
      async (model: string, flags: EvaluateOptions & AdapterFlags & { readonly data: string; readonly chatTemplate?: string; readonly json?: boolean }) => {
        const { data, limit, batch, length, fields } = flags;
        const report = await withProgress(async (watch) => {
          const loaded = await loadModel(model, { ...adapterOf(flags), chatTemplate: flags.chatTemplate, ...watch });
          try {
            return await loaded.evaluate(data, { limit, batch, length, fields, ...watch });
          } finally {
            loaded.close();
          }
        });
        print(
          flags.json
            ? JSON.stringify(report)
            : `loss ${report.loss.toFixed(4)}, perplexity ${report.perplexity.toFixed(2)}, ${report.examples} examples, ${report.tokens} tokens`,
        );
      },
    );
