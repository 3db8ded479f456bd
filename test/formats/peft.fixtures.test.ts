/** @file Every PEFT adapter found is read and written back the same, or refused by name. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readPeft, writePeft } from '../../src/formats/peft.ts';
import { openSafetensors, readTensor } from '../../src/formats/safetensors.ts';
import { unsupportedSetting } from '../support/trainRun.ts';
import { messageOf, readJson, withFixtures } from './fixtureFolder.ts';

/** A folder's settings and layers, with the numbers of its matrices. */
function valuesOf(folder: string) {
  const { tensors, names: _names, ...settings } = readPeft(folder);
  return { ...settings, tensors: [...tensors].map(([name, { shape, read }]) => ({ name, shape, values: read() })) };
}

withFixtures('train', (root) => {
  const folders = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('adapter_config.json'))
    .map((path) => dirname(path));

  it('holds adapters', () => expect(folders.length).toBeGreaterThan(0));

  for (const name of folders) {
    const folder = join(root, name);
    const config = readJson(join(folder, 'adapter_config.json'));
    const unsupported = unsupportedSetting(config);
    if (unsupported !== null) {
      it(`refuses ${name} by name`, () => {
        expect(messageOf(() => readPeft(folder))).toContain(unsupported);
      });
      continue;
    }
    it(`reads ${name} and writes it back`, async () => {
      const adapter = readPeft(folder);
      expect(adapter).toMatchObject({ rank: config.r, alpha: config.lora_alpha, useRslora: config.use_rslora, fanInFanOut: config.fan_in_fan_out });
      const scale = config.lora_alpha / (config.use_rslora ? Math.sqrt(config.r) : config.r);
      for (const layer of adapter.layers.values()) expect(layer).toEqual({ rank: config.r, scale });
      const copy = mkdtempSync(join(tmpdir(), 'ebb-peft-'));
      try {
        await writePeft(copy, { ...adapter, tensors: [...adapter.tensors].map(([key, { shape, read }]) => ({ name: key, dtype: 'F32', shape, data: read })) });
        const [a, b] = [folder, copy].map((f) => openSafetensors(join(f, 'adapter_model.safetensors')));
        expect([...b!.tensors.keys()].sort()).toEqual([...a!.tensors.keys()].sort());
        for (const key of a!.tensors.keys()) expect(Buffer.from(readTensor(b!, key)).equals(Buffer.from(readTensor(a!, key)))).toBe(true);
        expect({ ...valuesOf(copy), path: folder }).toEqual(valuesOf(folder));
      } finally {
        rmSync(copy, { recursive: true });
      }
    });
  }
});
