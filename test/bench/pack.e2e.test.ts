/** @file The packed benchmark runs from its own folder, without the repository: matmuls, steps and dropped units. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../support/cli.ts';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-pack-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

const SMALL = {
  seed: 1,
  initStd: 0.02,
  models: { S: { vocab: 64, dim: 32, heads: 2, layers: 1, ffn: 48, batch: 1, seq: 16 } },
  normEps: 1e-5,
  ropeTheta: 10000,
  adamw: { lr: 0.001, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
  matmuls: [[64, 64, 64]],
};

it('measures without the sources, and says who is missing', () => {
  const folder = join(scratch, 'bench');
  const loader = pathToFileURL(createRequire(join(ROOT, 'package.json')).resolve('tsx')).href;
  execFileSync(process.execPath, ['--import', loader, join(ROOT, 'bench/pack.ts'), folder]);
  writeFileSync(join(folder, 'spec.json'), JSON.stringify(SMALL));
  // the software adapter stands in for the machine's GPU
  mkdirSync(join(folder, 'node_modules/@sparticuz'));
  symlinkSync(join(ROOT, 'node_modules/@sparticuz/chromium'), join(folder, 'node_modules/@sparticuz/chromium'));
  const flags = ['--only', 'ebb,tfjs-webgpu', '--models', 'S', '--rounds', '1', '--patterns', '1'];
  const run = spawnSync(process.execPath, ['bench.mjs', ...flags], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, EBB_DEVICE: 'swiftshader', EBB_TUNE: 'off' },
  });
  expect({ status: run.status, stderr: run.status === 0 ? '' : run.stderr }).toEqual({ status: 0, stderr: '' });
  expect(run.stderr).toContain('tfjs-webgpu does not take part: its program is not here');
  expect(run.stdout).toMatch(/64³: ebb \d/);
  expect(run.stdout).toMatch(/S: losses \d\.\d+, \d\.\d+, \d\.\d+, \d\.\d+, the same of ebb/);
  expect(run.stdout).toMatch(/\| ebb +\| S LoRA r=8 \| +0\.875 \//);
});
