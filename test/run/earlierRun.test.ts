/** @file Runs that an earlier version began go on as they began; new ones hold what they go by. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { settled, storedConfig } from '../../src/run/earlierRun.ts';
import { parseConfig } from '../../src/train/config.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-earlier-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What a run goes by that is given some keys, in a folder whose config holds others. */
function goesBy(given: object, stored: string, resumes = true): object {
  const out = join(folder, 'run');
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'config.yaml'), `model: m\ndata: d\n${stored}`);
  const { lossOver, shuffle } = settled(parseConfig({ model: 'm', data: 'd', out, ...given }, 'x'), { resume: resumes });
  const before = storedConfig(join(out, 'config.yaml'));
  return { lossOver, shuffle, before: { lossOver: before['lossOver'], shuffle: before['shuffle'] } };
}

it.each([
  // a run of before: every micro-batch alike, and `shuffle: true` is what nothing was
  [{}, 'shuffle: true\n', true, { lossOver: 'microBatches', shuffle: undefined, before: { lossOver: 'microBatches', shuffle: undefined } }],
  [{ shuffle: true }, 'shuffle: true\n', true, { lossOver: 'microBatches', shuffle: undefined, before: { lossOver: 'microBatches', shuffle: undefined } }],
  [{ shuffle: false }, 'shuffle: false\n', true, { lossOver: 'microBatches', shuffle: false, before: { lossOver: 'microBatches', shuffle: false } }],
  [{ lossOver: 'tokens' }, '', true, { lossOver: 'tokens', shuffle: undefined, before: { lossOver: 'microBatches', shuffle: undefined } }],
  // one of this version
  [{}, 'lossOver: tokens\nshuffle: true\n', true, { lossOver: 'tokens', shuffle: undefined, before: { lossOver: 'tokens', shuffle: true } }],
  [{ shuffle: true }, 'lossOver: tokens\nshuffle: true\n', true, { lossOver: 'tokens', shuffle: true, before: { lossOver: 'tokens', shuffle: true } }],
  [{}, '', false, { lossOver: 'tokens', shuffle: undefined, before: { lossOver: 'microBatches', shuffle: undefined } }],
])('%j in the folder of %j, resumed %p', (given, stored, resumes, expected) => {
  expect(goesBy(given, stored, resumes)).toEqual(expected);
});
