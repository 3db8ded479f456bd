/** @file Runs that meet mishaps: killed anywhere, on disks that fill or become read-only, two in one folder. scripts/mishaps.ts tries hundreds. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../support/cli.ts';
import { TRIALS, type TrialGround, trialGround, tryOnce } from '../support/mishapTrials.ts';

const EACH = 10;

let folder: string;
let ground: TrialGround;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-mishaps-'));
  ground = await trialGround(folder, join(ROOT, 'dist/cli/main.js'));
});
afterAll(() => rmSync(folder, { recursive: true }));

it.each(Object.keys(TRIALS))('a run that %s goes on to what an undisturbed one comes to', async (name) => {
  const wrong: string[] = [];
  // places all over the run, none of them twice
  for (let i = 0; i < EACH; i++) wrong.push(...(await tryOnce(ground, name, i, (i + Math.random()) / EACH)));
  expect(wrong).toEqual([]);
});
