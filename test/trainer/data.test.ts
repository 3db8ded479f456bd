/** @file Training data as batches: limits count examples, tokens leave padding out, sequences fit the model's positions. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { type DataOptions, type LoadedData, openData } from '../../src/run/data.ts';
import { prepare } from '../../src/run/prepare.ts';
import { openRunData } from '../../src/run/run.ts';
import type { InputDecl } from '../../src/runtime/program.ts';
import { parseConfig } from '../../src/train/config.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-data-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const inputs = ['tokens', 'targets', 'segments'].map((name): InputDecl => ({ name, dtype: 'i32', extent: { of: ['B', 'T'], bytes: 4 } }));
const options: DataOptions = { batch: 2, length: 4, seed: 0, shuffle: false, inputs, vocabSize: 100, fields: {} };
const noTokenizer = (): never => {
  throw new Error('not needed');
};

const load = (path: string, change: Partial<DataOptions> = {}): Promise<LoadedData> => openData(path, noTokenizer, { ...options, ...change }, prepare()).loaded;

/** Three steps of two sequences of four tokens; the second sequence of each has a padding token in front. */
function batches(name: string, length = 4): string {
  const path = join(folder, name);
  const shape = [3, 2, length];
  const ids = Int32Array.from({ length: 6 * length }, (_, i) => i);
  const mask = Int32Array.from({ length: 6 * length }, (_, i) => (i % (2 * length) === length ? 0 : 1));
  writeSafetensors(path, [
    { name: 'input_ids', dtype: 'I32', shape, data: ids },
    { name: 'labels', dtype: 'I32', shape, data: ids },
    { name: 'attention_mask', dtype: 'I32', shape, data: mask },
  ]);
  return path;
}

it.each([
  [undefined, 6, [2, 2, 2]],
  [6, 6, [2, 2, 2]],
  [9, 6, [2, 2, 2]],
  [5, 5, [2, 2, 1]],
  [2, 2, [2]],
  [1, 1, [1]],
])('a limit of %p evaluates %p sequences of ready batches', async (limit, examples, sizes) => {
  const data = await load(batches('a.safetensors'), limit === undefined ? {} : { limit });
  const all = data.source.all();
  expect(data.examples).toBe(examples);
  expect(all.map((b) => b.sizes['B'])).toEqual(sizes);
  for (const { sizes: own, inputs: given, tokens, counted } of all) {
    for (const part of Object.values(given)) expect(part).toHaveLength(4 * own['B']!);
    expect(tokens).toBe(own['B'] === 2 ? 7 : 4);
    expect(counted).toBe(3 * own['B']!);
  }
});

it('cuts a stream of tokens to examples too', async () => {
  const path = join(folder, 'tokens.bin');
  writeFileSync(path, Buffer.from(Int32Array.from({ length: 20 }, (_, i) => i).buffer));
  const data = await load(path, { limit: 3 });
  expect(data.examples).toBe(3);
  expect(data.source.all().map((b) => [b.sizes['B'], b.tokens])).toEqual([
    [2, 8],
    [1, 4],
  ]);
});

it('names the file whose sequences are longer than the model has positions for', () => {
  const [fits, long] = [batches('fits.safetensors'), batches('long.safetensors', 5)];
  const subject = { inputs, vocabSize: 100, maxPosition: 4, tokenizer: noTokenizer };
  const open = (data: string, evalData: string) => () => openRunData(parseConfig({ model: 'm', data, evalData }, 'x'), subject);
  expect(open(fits, fits)().length).toBe(4);
  expect(messageOf(open(long, fits))).toContain(`${long}: a sequence is 5 tokens, the model has positions for 4`);
  expect(messageOf(open(fits, long))).toContain(`${long}: a sequence is 5 tokens, the model has positions for 4`);
});

it('an f32 input that is NaN or infinite is refused, with its place', async () => {
  const path = join(folder, 'broken.safetensors');
  const data = Float32Array.from({ length: 12 }, (_, i) => (i === 7 ? Number.NEGATIVE_INFINITY : i));
  writeSafetensors(path, [{ name: 'x', dtype: 'F32', shape: [2, 2, 3], data }]);
  const x: InputDecl = { name: 'x', dtype: 'f32', extent: { of: ['B', 3], bytes: 4 } };
  expect(messageOf(() => openData(path, noTokenizer, { ...options, inputs: [x] }, prepare()))).toContain(
    `${path}: x holds -Infinity at [1, 0, 1], expected finite numbers; correct the data`,
  );
});
