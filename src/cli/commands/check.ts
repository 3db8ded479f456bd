/** @file `ebb check`: says what files are. */

import { check } from '../../session/check.ts';
import { print, say } from '../../terminal/options.ts';
import type { AddOptions } from '../addOptions.ts';

/** `ebb check`. */
export const checkCommand: AddOptions = (command) =>
  command
    .argument('<path...>', 'checkpoint folders, config.json, safetensors, GGUF, tokenizer.json, JSONL')
    .option('--json', 'print JSON')
    .action(async (paths: string[], flags: { json?: boolean }) => {
      const reports = [];
      for (const path of paths) reports.push({ path, ...(await check(path)) });
      if (flags.json) print(JSON.stringify(reports, null, 2));
      else for (const r of reports) (r.ok ? print : say)(r.message);
      if (reports.some((r) => !r.ok)) process.exitCode = 1;
    });
