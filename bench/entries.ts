/** @file Who is compared: each contestant's name and the command that starts it. Adding one is a line here and a file that speaks bench/protocol.ts. */

import { createRequire } from 'node:module';
import { parse } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { DATA, SPEC_FILE } from './spec.ts';

export interface Entry {
  readonly name: string;
  /** Its program; a pack (bench/pack.ts) holds some of them. */
  readonly program: string;
  readonly command: readonly string[];
  /** Whether it can leave out units' backward, and train low-rank adapters. */
  readonly drops: boolean;
  readonly runtime: 'node' | 'python';
  /** Variables of the processes in which its first step is timed. */
  readonly firstEnv?: Readonly<Record<string, string>>;
}

export const PYTHON = process.env['EBB_BENCH_PYTHON'] ?? 'python3';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
/** Whether these are the bundles of a pack, which lie side by side, not the sources. */
export const PACKED = !import.meta.url.endsWith('.ts');

type Started = Pick<Entry, 'program' | 'command' | 'runtime'>;

/** tsx's loader by its path: the contestants' working directory does not matter then. */
function node(path: string, ...args: string[]): Started {
  const program = file(PACKED ? `${parse(path).name}.mjs` : path);
  const loader = PACKED ? [] : ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href];
  return { program, command: [process.execPath, ...loader, program, ...args], runtime: 'node' };
}

function python(path: string, ...args: string[]): Started {
  const program = file(path);
  return { program, command: [PYTHON, program, ...args], runtime: 'python' };
}

export const ENTRIES: readonly Entry[] = [
  // tuning takes its time once in a machine's life: a first step is timed without it
  { name: 'ebb', ...node('contestants/ebb.ts'), drops: true, firstEnv: { EBB_TUNE: 'off' } },
  { name: 'tfjs-webgpu', ...node('peers/tfjs.mjs'), drops: false },
  { name: 'jax-js-webgpu', ...node('peers/jax.mjs', 'webgpu'), drops: false },
  { name: 'jax-js-wasm', ...node('peers/jax.mjs', 'wasm'), drops: false },
  { name: 'pytorch', ...python('peers/pytorch.py', SPEC_FILE, DATA), drops: true },
];
