/** @file `ebb init`: writes a run file. */

import { existsSync } from 'node:fs';
import { EbbError } from '../../errors.ts';
import { writeTextAside } from '../../formats/safetensors.ts';
import { init } from '../../session/init.ts';
import { print } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../addOptions.ts';

/** `ebb init`. */
export const initCommand: AddOptions = (command) =>
  command
    .argument('[file]', 'run file to write', 'run.yaml')
    .requiredOption('--model <path>', 'checkpoint folder, GGUF file or hub id')
    .requiredOption('--data <file>', 'text, or records (.jsonl)')
    .action(async (file: string, { model, data }: { readonly model: string; readonly data: string }) => {
      if (existsSync(file)) throw new EbbError(`${file}: is there already; name another file, or remove it`);
      writeTextAside(file, await withProgress((watch) => init({ model, data, file, ...watch })));
      print(`${file}: written; look at it, then: ebb train ${file}`);
    });
