/** @file The contestants, each with its name and the command that starts it. A new one is a line here and a program that speaks bench/protocol.ts. */

import { createRequire } from 'node:module';
import { parse } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { DATA, SPEC_FILE } from './spec.ts';

export interface Entry {
  readonly name: string;
  /** The path of its program. A pack (bench/pack.ts) does not hold all programs. */
  readonly program: string;
  readonly command: readonly string[];
  /** Whether it can leave out the backward of units, and train low-rank adapters. */
  readonly drops: boolean;
  readonly runtime: 'node' | 'python';
  /** Environment variables of the processes in which its first step is timed. */
  readonly firstEnv?: Readonly<Record<string, string>>;
}

/** The Python that runs PyTorch and makes weights. */
export const PYTHON = process.env['EBB_BENCH_PYTHON'] ?? 'python3';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
/** Whether this code runs from the bundles of a pack, which lie in one folder, and not from the sources. */
export const PACKED = !import.meta.url.endsWith('.ts');

type Started = Pick<Entry, 'program' | 'command' | 'runtime'>;

/** A program for Node. tsx's loader is given by its path, so that the working directory does not matter. */
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
  // tuning takes its time only once on a machine, so the first step is timed without it
  { name: 'ebb', ...node('contestants/ebb.ts'), drops: true, firstEnv: { EBB_TUNE: 'off' } },
  { name: 'tfjs-webgpu', ...node('peers/tfjs.mjs'), drops: false },
  { name: 'jax-js-webgpu', ...node('peers/jax.mjs', 'webgpu'), drops: false },
  { name: 'jax-js-wasm', ...node('peers/jax.mjs', 'wasm'), drops: false },
  { name: 'pytorch', ...python('peers/pytorch.py', SPEC_FILE, DATA), drops: true },
];
