/** @file Who is compared: each contestant's name and the command that starts it. Adding one is a line here and a file that speaks bench/protocol.ts. */

import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { DATA, SPEC_FILE } from './spec.ts';

export interface Entry {
  readonly name: string;
  readonly command: readonly string[];
  /** Whether it can leave out units' backward, and train low-rank adapters. */
  readonly drops: boolean;
  readonly runtime: 'node' | 'python';
  /** Variables of the process in which its first step is timed, where that is another one than the process whose steps are timed. */
  readonly firstEnv?: Readonly<Record<string, string>>;
}

export const PYTHON = process.env['EBB_BENCH_PYTHON'] ?? 'python3';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
/** tsx's loader by its path: the contestants' working directory does not matter then. */
const typescript = (path: string, ...args: string[]): string[] => [
  process.execPath,
  '--import',
  pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href,
  file(path),
  ...args,
];

export const ENTRIES: readonly Entry[] = [
  // tuning takes its time once in a machine's life: a first step is timed without it
  { name: 'ebb', command: typescript('contestants/ebb.ts'), drops: true, runtime: 'node', firstEnv: { EBB_TUNE: 'off' } },
  { name: 'tfjs-webgpu', command: typescript('peers/tfjs.mjs'), drops: false, runtime: 'node' },
  { name: 'jax-js-webgpu', command: typescript('peers/jax.mjs', 'webgpu'), drops: false, runtime: 'node' },
  { name: 'jax-js-wasm', command: typescript('peers/jax.mjs', 'wasm'), drops: false, runtime: 'node' },
  { name: 'pytorch', command: [PYTHON, file('peers/pytorch.py'), SPEC_FILE, DATA], drops: true, runtime: 'python' },
];
