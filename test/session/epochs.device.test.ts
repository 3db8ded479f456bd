/** @file Runs whose last step is shorter, packed, in buckets or plain: they go on exactly, also by the config of their own folder. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type FinetuneOptions, finetune, type StepMetrics } from '../../src/index.ts';
import { ROOT } from '../support/cli.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

const RECORDS = [
  'Rain.',
  'The tide turns twice a day.',
  'A heron waits.',
  'Reeds bend in the wind.',
  'Sand is warm.',
  'Gulls call.',
  'The ferry is late again today.',
];

let device: TestDevice;
let folder: string;
let data: string;
beforeAll(async () => {
  device = await openTestDevice();
  folder = mkdtempSync(join(tmpdir(), 'ebb-epochs-'));
  data = join(folder, 'said.jsonl');
  writeFileSync(data, RECORDS.map((text) => JSON.stringify({ text })).join('\n'));
});
afterAll(() => {
  device.device.destroy();
  rmSync(folder, { recursive: true });
});

const metrics = (out: string): object[] =>
  readFileSync(join(folder, out, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const { ms: _ms, ...told } = JSON.parse(line) as StepMetrics;
      return told;
    });

const configOf = (out: string): Record<string, unknown> => parse(readFileSync(join(folder, out, 'config.yaml'), 'utf8'));

it.each([
  ['plain', {}, { steps: 6, last: 1 }],
  ['bucket', { bucket: true }, { steps: 6, last: 1 }],
  ['pack', { pack: true, batch: 1, length: 20 }, { steps: 6, last: 1 }],
] as const)('%s: a run that is stopped goes on to the losses of the whole one', async (name, keys, { steps, last }) => {
  const run = (out: string, more: Partial<FinetuneOptions> = {}) => {
    const made = {
      model: join(ROOT, 'examples/tiny-llama/model'),
      data,
      drop: 0.5,
      batch: 2,
      length: 48,
      accumulate: 2,
      epochs: 2.7,
      tune: 'off',
      ...keys,
    } as const;
    return finetune({ ...made, device: { ...device, why: 'the test' }, out: join(folder, out), ...more });
  };
  await run(`${name}-whole`);
  const whole = metrics(`${name}-whole`) as StepMetrics[];
  expect(whole).toHaveLength(steps);
  expect(whole.at(-1)!.losses).toHaveLength(last);
  expect(configOf(`${name}-whole`)).toMatchObject({ steps, epochs: 2.7, lossOver: 'tokens' });

  await run(`${name}-parts`, { steps: 2, epochs: undefined });
  await run(`${name}-parts`, { resume: true });
  expect(metrics(`${name}-parts`)).toEqual(whole);

  // the config of the folder names steps and epochs, and is that of the whole run
  await run(`${name}-again`, { steps: 2, epochs: undefined });
  const { device: _device, steps: resolved, epochs } = configOf(`${name}-whole`) as { device: string; steps: number; epochs: number };
  await run(`${name}-again`, { steps: resolved, epochs, resume: true });
  expect(metrics(`${name}-again`)).toEqual(whole);
});
