/** @file Prepares what a measurement needs, and describes the machine. */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import { drawData } from './draw.ts';
import { type Entry, PACKED, PYTHON } from './entries.ts';
import { DATA, SPEC_FILE } from './spec.ts';

const PEERS = fileURLToPath(new URL('peers', import.meta.url));

/** Describes the machine: a line with the date and the commit, and one with the processor, the system and Node. */
export function describeMachine(): string[] {
  const commit = process.env['EBB_BENCH_COMMIT'] ?? commitOf(PEERS);
  return [
    `${new Date().toISOString().slice(0, 10)}${commit ? `, commit ${commit}` : ''}`,
    `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB; ${type()} ${release()}, Node ${process.versions.node}`,
  ];
}

/** The short hash of the commit that a folder is at. Empty outside of git. */
export function commitOf(folder: string): string {
  return spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: folder, encoding: 'utf8' }).stdout?.trim() ?? '';
}

/** Installs the packages of bench/peers where they are missing. A pack has no such folder. */
export function ensurePeers(): void {
  if (PACKED || existsSync(`${PEERS}/node_modules`)) return;
  console.log('installing bench/peers');
  execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: PEERS, stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' });
}

/**
 * Makes weights and tokens where they are missing. numpy makes those that the published losses are of; without it Ebb draws some, if it is
 * the only contestant. @throws Error that says what to install
 */
export function ensureData(entries: readonly Entry[], models: readonly string[]): void {
  const absent = models.filter((name) => !existsSync(`${DATA}/${name}.tokens.bin`));
  if (absent.length === 0) return;
  if (!python('import numpy')) {
    if (entries.every((e) => e.name === 'ebb')) {
      drawData(absent);
      return;
    }
    throw new Error(`${PYTHON} makes the weights with numpy, which it does not have: pip install numpy, or name another Python in EBB_BENCH_PYTHON`);
  }
  console.log(`making weights and tokens in ${DATA}`);
  execFileSync(PYTHON, [fileURLToPath(new URL('data.py', import.meta.url)), SPEC_FILE, DATA, ...absent], { stdio: 'inherit' });
}

/** The reason why a contestant cannot take part here, or null where it can. */
export function missing(entry: Entry): string | null {
  if (!existsSync(entry.program)) return `its program is not here (${entry.program})`;
  if (entry.runtime === 'node' || python('import numpy, torch')) return null;
  return `${PYTHON} has no torch and numpy: pip install torch numpy, or name another Python in EBB_BENCH_PYTHON`;
}

/** Whether Python runs `code` without an error. */
function python(code: string): boolean {
  return spawnSync(PYTHON, ['-c', code], { stdio: 'ignore' }).status === 0;
}
