/**
 * Compares a generated trainer with `ebb train` on the same run of the bundled model, in turns. Of each run the mean of its steps counts (steps
 * are read in pairs, so single times say little), and of these the minimum over rounds.
 *
 *   npx tsx bench/trainer.ts [--rounds 6] [--steps 24]
 *
 * It prints the milliseconds of a step of both, and their ratio. It fails where losses differ, or the trainer takes more than 3 % longer.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isStep, type MetricsLine, writeSafetensors } from '../src/index.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '6' }, steps: { type: 'string', default: '24' } } });
const [MODEL, EBB] = ['examples/tiny-llama/model', 'dist/cli/main.js'];
const [BATCH, LENGTH] = [2, 128];
/** The first steps compile, and are not counted. */
const SKIPPED = 4;
const scratch = mkdtempSync(join(tmpdir(), 'ebb-bench-'));
const node = (...args: string[]): void => void execFileSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });

const ids = Int32Array.from({ length: 4 * BATCH * LENGTH }, (_, i) => (i * 37 + (i >> 3)) % 1024);
const data = join(scratch, 'batches.safetensors');
writeSafetensors(
  data,
  ['input_ids', 'labels'].map((name) => ({ name, dtype: 'I32', shape: [4, BATCH, LENGTH], data: ids })),
);
const trainer = join(scratch, 'trainer');
node(EBB, 'compile', MODEL, '-o', trainer, '--batch', String(BATCH), '--length', String(LENGTH));

const best = { 'ebb train': Number.POSITIVE_INFINITY, 'trainer.js': Number.POSITIVE_INFINITY };
const losses = new Map<string, string>();
for (let round = 0; round < Number(values.rounds); round++)
  for (const kind of Object.keys(best) as (keyof typeof best)[]) {
    const out = join(scratch, `${kind.replace(/\W/g, '-')}-${round}`);
    const flags = ['--data', data, '--steps', values.steps, '--lr', '1e-3', '--drop-rate', '0.5', '--seed', '1', '--out', out];
    if (kind === 'ebb train') node(EBB, 'train', '--model', MODEL, ...flags);
    else node(join(trainer, 'trainer.js'), '--weights', MODEL, ...flags);
    const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const steps = lines.map((line) => JSON.parse(line) as MetricsLine).filter(isStep);
    const steady = steps.slice(SKIPPED);
    best[kind] = Math.min(best[kind], steady.reduce((sum, s) => sum + s.ms, 0) / steady.length);
    losses.set(kind, steps.map((s) => s.loss).join());
  }
rmSync(scratch, { recursive: true });
const ratio = best['trainer.js'] / best['ebb train'];
console.log(`a step: ebb train ${best['ebb train'].toFixed(1)} ms, trainer.js ${best['trainer.js'].toFixed(1)} ms, ratio ${ratio.toFixed(3)} (minima)`);
if (losses.get('ebb train') !== losses.get('trainer.js')) console.error('the losses differ');
if (ratio > 1.03 || losses.get('ebb train') !== losses.get('trainer.js')) process.exitCode = 1;
