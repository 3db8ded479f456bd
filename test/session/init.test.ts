/** @file `ebb init`: what it chooses by the lengths of the data, and that what it writes is a run file. */

import { join } from 'node:path';
import { parse } from 'yaml';
import { init, parseConfig } from '../../src/index.ts';
import { lookAt } from '../../src/session/init.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';
import { ROOT } from '../support/cli.ts';

const model = join(ROOT, 'examples/tiny-llama/model');
const data = join(ROOT, 'examples/demo/questions.jsonl');
const ofLengths = (...lengths: number[]) => Int32Array.from(lengths);

it.each([
  [ofLengths(10, 12, 14), 512, 64, 16],
  [ofLengths(...Array.from({ length: 95 }, () => 100), ...Array.from({ length: 5 }, () => 500)), 512, 512, 16],
  [ofLengths(...Array.from({ length: 96 }, () => 100), ...Array.from({ length: 4 }, () => 500)), 512, 128, 16],
  [ofLengths(4000, 4000), 8192, 1024, 1],
  [ofLengths(4000, 4000), 300, 300, 1],
])('lengths %# become a length and a batch', (sequences, maxPosition, length, batch) => {
  expect(lookAt(sequences, maxPosition, 'records')).toMatchObject({ length, batch });
});

it('writes a run file that can be read, with what was seen', async () => {
  const text = await init({ model, data, file: 'run.yaml' });
  const config = parseConfig(parse(text), 'run.yaml');
  expect(config).toMatchObject({ model, data, batch: 16, length: 128, epochs: 1, drop: { kind: 'uniform', rate: 0.5 } });
  expect(text).toMatch(/^# yaml-language-server: \$schema=\S*schema\/run\.json\n/);
  expect(text).toContain('# llama: 6 layers, hidden size 128, vocabulary 1024, 512 positions');
  expect(text).toMatch(/# 600 records: \d+ tokens in the middle, \d+ at most/);
});

it('a definition has no usual run', async () => {
  expect(await rejectionOf(init({ model: 'net.ts', data, file: 'run.yaml' }))).toMatch(/^net\.ts: is a definition/);
});
