/**
 * Lets runs meet mishaps, many of each kind: killed at random moments, disks that fill or become read-only, two runs in one folder. After each, the folder is looked at and the
 * run goes on to what an undisturbed one comes to. Where this user may mount, a small disk is filled for real too.
 *
 *   npm run build && npm run mishaps -- [--each 40] [--seed 1] [--only killed]
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fullDisk, TRIALS, trialGround, tryOnce } from '../test/support/mishapTrials.ts';

const ROOT = resolve(fileURLToPath(new URL('..', import.meta.url)));
const { values } = parseArgs({
  options: { each: { type: 'string', default: '40' }, seed: { type: 'string', default: '1' }, only: { type: 'string', default: '' } },
});

/** Numbers below 1 that look random (mulberry32), so that a seed tries the same again. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const folder = mkdtempSync(join(tmpdir(), 'ebb-mishaps-'));
const ground = await trialGround(folder, join(ROOT, 'dist/cli/main.js'));
const next = numbers(Number(values.seed));
let failed = 0;
const report = (name: string, wrong: readonly string[]): void => {
  if (wrong.length === 0) return;
  failed++;
  console.log(`a run that ${name}: ${wrong.join('\n  ').slice(0, 2000)}`);
};
for (const name of Object.keys(TRIALS).filter((kind) => kind.includes(values.only))) {
  const before = failed;
  for (let i = 0; i < Number(values.each); i++) report(name, await tryOnce(ground, name, i, next()));
  console.log(`a run that ${name}: ${values.each} tried, ${failed - before} went wrong`);
}
const disk = join(folder, 'disk');
mkdirSync(disk);
if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=400k', 'ebb-mishaps', disk]).status === 0) {
  try {
    for (const kib of [40, 60, 80, 100, 140, 200, 300, 400]) {
      spawnSync('mount', ['-o', `remount,size=${kib}k`, disk]);
      report(`has a disk of ${kib} KiB`, await fullDisk(ground, join(disk, 'run'), () => spawnSync('mount', ['-o', 'remount,size=4m', disk])));
      rmSync(join(disk, 'run'), { recursive: true, force: true });
    }
    console.log('a run that has a disk of 40 to 400 KiB: 8 tried');
  } finally {
    spawnSync('umount', [disk]);
  }
} else console.log('a small disk was not filled: this user may not mount one');
if (failed === 0) rmSync(folder, { recursive: true });
console.log(`${failed} went wrong${failed > 0 ? `; their folders are in ${folder}` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;
