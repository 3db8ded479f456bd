/** @file The pad token's row of the embedding gets no gradient from look-ups, as transformers' `padding_idx`; a tied head's share stays. */

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSafetensors, readFloats } from '../../src/formats/safetensors.ts';
import { readHfConfig } from '../../src/models/checkpoint.ts';
import { grad } from '../../src/session/forward.ts';
import { readJson } from '../formats/fixtureFolder.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

const MODELS = join(__dirname, 'padding');
const names = readdirSync(MODELS).filter((name) => statSync(join(MODELS, name)).isDirectory());

let opened: TestDevice;
let folder: string;
beforeAll(async () => {
  opened = await openTestDevice();
  folder = mkdtempSync(join(tmpdir(), 'ebb-padding-'));
});
afterAll(() => {
  opened.device.destroy();
  rmSync(folder, { recursive: true });
});

it.each(names)('%s: every gradient is that of transformers', async (name) => {
  const model = join(MODELS, name);
  const out = join(folder, name);
  const report = await grad(model, { batch: join(model, 'batch.safetensors'), out, device: opened });
  expect(report.absent).toEqual([]);
  const [made, golden] = [openSafetensors(out), openSafetensors(join(model, 'gradients.safetensors'))];
  expect([...made.tensors.keys()].sort()).toEqual([...golden.tensors.keys()].sort());
  for (const param of golden.tensors.keys()) {
    const [found, wanted] = [readFloats(made, param), readFloats(golden, param)];
    const most = wanted.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-7);
    const off = wanted.reduce((m, x, i) => Math.max(m, Math.abs(x - found[i]!)), 0) / most;
    expect({ param, close: off < 1e-4, off }).toMatchObject({ close: true });
  }
});

it.each([10, -11, 4096])('a pad token %p that the embedding has no row for is refused, as transformers refuses it', (pad) => {
  const fields = readJson(join(MODELS, 'untied', 'config.json'));
  expect(() => readHfConfig('config.json', { ...fields, pad_token_id: pad })).toThrow(
    `config.json: pad_token_id is ${pad}, and the embedding has rows 0 to 9; give it a token that the model has a row for, or leave it out`,
  );
});
