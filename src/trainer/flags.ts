/** @file The flags of a run, shared by `ebb train` and generated trainers; they go over the keys of a run file. */

import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { parseDocument } from 'yaml';
import { EbbError } from '../errors.ts';
import { pathKind, readText } from '../formats/files.ts';
import type { RunInput } from '../train/config.ts';
import { count, deviceOption, nonNegative, number, positive } from './options.ts';

export interface RunFlags {
  readonly data?: string;
  readonly evalData?: string;
  readonly out?: string;
  readonly steps?: number;
  readonly batch?: number;
  readonly length?: number;
  readonly accumulate?: number;
  readonly lr?: number;
  readonly dropRate?: number;
  readonly seed?: number;
  readonly memoryBudget?: string;
  readonly saveEvery?: number;
  readonly evalEvery?: number;
  readonly evalLimit?: number;
  readonly resume?: boolean;
  readonly json?: boolean;
  readonly adapter: string;
}

export function addRunFlags(command: Command): Command {
  return command
    .option('--data <file>', 'text, JSONL, batches as safetensors, or int32 tokens (.bin)')
    .option('--eval-data <file>', 'held-out data')
    .option('--out <dir>', 'run folder')
    .option('--steps <n>', 'optimizer steps', positive)
    .option('--batch <n>', 'sequences a micro-batch', positive)
    .option('--length <n>', 'most tokens of a sequence', positive)
    .option('--accumulate <n>', 'micro-batches a step', positive)
    .option('--lr <x>', 'learning rate', nonNegative)
    .option('--drop-rate <p>', 'share of the residual branches that get no backward in a step', number)
    .option('--seed <n>', 'seed of everything random', count)
    .option('--memory-budget <bytes>', 'most device memory of the run, e.g. 2GiB: some branches run their forward again')
    .option('--save-every <n>', 'steps between checkpoints', count)
    .option('--eval-every <n>', 'steps between held-out evaluations', count)
    .option('--eval-limit <n>', 'held-out examples', positive)
    .option('--resume', 'go on from the newest checkpoint in the run folder')
    .option('--json', 'print the result as JSON')
    .addOption(deviceOption());
}

/** A run file's keys with the flags over them. */
export function runInput(fromFile: Partial<RunInput>, flags: RunFlags): Record<string, unknown> {
  const { data, evalData, out, steps, batch, length, accumulate, seed, saveEvery, evalEvery, evalLimit, memoryBudget, adapter, lr, dropRate } = flags;
  const plain = { data, evalData, out, steps, batch, length, accumulate, seed, saveEvery, evalEvery, evalLimit, memoryBudget };
  return {
    ...fromFile,
    ...Object.fromEntries(Object.entries(plain).filter(([, v]) => v !== undefined)),
    ...(lr === undefined ? {} : { optimizer: { name: 'adamw', ...(fromFile.optimizer as object | undefined), lr } }),
    ...(dropRate === undefined ? {} : { drop: dropRate === 0 ? { kind: 'none' } : { kind: 'uniform', rate: dropRate } }),
    ...(adapter === 'auto' ? {} : { adapter }),
  };
}

/** Paths that people give in the place of a run file, and mean as something else. */
const OTHER_KINDS: readonly (readonly [ending: RegExp, what: string, hint: (path: string) => string])[] = [
  [/\.[mc]?ts$/i, 'a model definition', (path) => `--model ${path}`],
  [/\.gguf$/i, 'a model', (path) => `--model ${path}`],
  [/\.(safetensors|bin)$/i, 'no text', (path) => `--data ${path} for ready batches, --weights ${path} for weights of a definition`],
  [/\.(jsonl|ndjson|txt)$/i, 'data', (path) => `--data ${path}`],
];

/** @throws EbbError for what is plainly no run file, with the flag it is given by */
function checkRunFile(file: string): void {
  const wanted = 'expected a run file (YAML)';
  const [, what, hint] = OTHER_KINDS.find(([ending]) => ending.test(file)) ?? [];
  if (what !== undefined && hint) throw new EbbError(`${file}: is ${what}, ${wanted}; give ${hint(file)}`);
  if (!existsSync(file)) throw new EbbError(`${file}: there is no such file, ${wanted}; a model is named by --model, data by --data`);
  if (pathKind(file) === 'folder') throw new EbbError(`${file}: is a folder, ${wanted}; if it is a model, give --model ${file}`);
}

/** The keys of a run file that a person names, none where none is. @throws EbbError for what is plainly something else, and as `readRunFile` */
export function namedRunFile(file: string | undefined): Partial<RunInput> {
  if (file === undefined) return {};
  checkRunFile(file);
  return readRunFile(file);
}

/** The keys of a run file. @throws EbbError with the line of what is no YAML */
export function readRunFile(file: string): Partial<RunInput> {
  const document = parseDocument(readText(file));
  const [error] = document.errors;
  if (error) throw new EbbError(`${file}: line ${error.linePos?.[0].line ?? 1}: ${error.message.split(' at line')[0]}`);
  const run: unknown = document.toJS();
  if (run === null || typeof run !== 'object' || Array.isArray(run)) throw new EbbError(`${file}: is no list of keys, expected a run configuration (YAML)`);
  return run;
}
