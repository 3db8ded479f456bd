/** @file Training data as batches: limits count examples, tokens leave padding out, sequences fit the model's positions. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReadyBatches } from '../../src/formats/readyBatches.ts';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { checkRestarts, hubSteps, rowSequences } from '../../src/run/batchFiles.ts';
import { type DataOptions, type LoadedData, openData } from '../../src/run/data.ts';
import { prepare } from '../../src/run/prepare.ts';
import { openRunData } from '../../src/run/runData.ts';
import type { InputDecl } from '../../src/runtime/program.ts';
import { parseConfig } from '../../src/train/config.ts';
import { messageOf, rejectionOf } from '../formats/fixtureFolder.ts';

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

it('names the file whose sequences are longer than the model has positions for', async () => {
  const [fits, long] = [batches('fits.safetensors'), batches('long.safetensors', 5)];
  const subject = { inputs, vocabSize: 100, maxPosition: 4, tokenizer: noTokenizer };
  const open = (data: string, evalData: string) => openRunData(parseConfig({ model: 'm', data, evalData }, 'x'), subject);
  expect((await open(fits, fits)).length).toBe(4);
  expect(await rejectionOf(open(long, fits))).toContain(`${long}: a sequence is 5 tokens, the model has positions for 4`);
  expect(await rejectionOf(open(fits, long))).toContain(`${long}: a sequence is 5 tokens, the model has positions for 4`);
});

it('bare tokens are int32 unless it is said otherwise, and what would fit is said', async () => {
  const path = join(folder, 'shorts.bin');
  writeFileSync(path, new Uint8Array(Uint16Array.from({ length: 24 }, (_, i) => (7 * i) % 90).buffer));
  const open = (binType?: 'uint16') => openData(path, noTokenizer, { ...options, batch: 2, length: 2, vocabSize: 100, binType }, prepare()).loaded;
  expect((await open('uint16')).source.at(1).inputs['tokens']).toEqual(Int32Array.of(42, 49, 63, 70));
  expect(messageOf(() => open())).toMatch(/the model has tokens 0 to 99.*; its bytes fit as uint16: if they are that, say binType: uint16$/);
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

it('ready batches come in their order, which is said; shuffle draws another one each epoch', async () => {
  const path = batches('order.safetensors');
  const { shuffle: _shuffle, ...usual } = options;
  const openAs = (change: object) => openData(path, noTokenizer, { ...usual, ...change }, prepare()).loaded;
  const firsts = ({ source }: LoadedData, from: number): number[] => [0, 1, 2].map((k) => source.at(from + k).inputs['tokens']![0]!);
  const own = await openAs({});
  expect(own.notes).toEqual([`${path}: its 3 batches are learnt in the order of the file; shuffle: true gives each epoch another`]);
  expect([0, 3].map((from) => firsts(own, from))).toEqual([
    [0, 8, 16],
    [0, 8, 16],
  ]);
  expect((await openAs({ shuffle: false })).notes).toEqual([]);
  const shuffled = await openAs({ shuffle: true, seed: 1 });
  const epochs = [0, 3, 6, 9, 12].map((from) => firsts(shuffled, from));
  for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual([0, 8, 16]);
  expect(new Set(epochs.map(String)).size).toBeGreaterThan(1);
  expect(firsts(shuffled, 3)).toEqual(epochs[1]);
});

const ready = (rows: readonly (readonly number[])[], mask?: readonly (readonly number[])[]): ReadyBatches => ({
  steps: 1,
  batch: rows.length,
  length: rows[0]!.length,
  inputIds: Int32Array.from(rows.flat(), (_, i) => i + 1),
  labels: Int32Array.from(rows.flat(), (_, i) => i + 1),
  attentionMask: mask ? Int32Array.from(mask.flat()) : null,
  positionIds: Int32Array.from(rows.flat()),
});

it.each([
  [[[0, 1, 2, 3]], undefined, [1, 1, 1, 1], false],
  [[[0, 1, 0, 1]], undefined, [1, 1, 2, 2], true],
  [
    [
      [0, 0, 1, 0],
      [0, 1, 2, 3],
    ],
    undefined,
    [1, 2, 2, 3, 1, 1, 1, 1],
    true,
  ],
  // padding: in front, where transformers writes ones; behind; and counted through
  [[[1, 1, 0, 1]], [[0, 0, 1, 1]], [0, 0, 1, 1], true],
  [[[0, 1, 9, 9]], [[1, 1, 0, 0]], [1, 1, 0, 0], false],
  [[[0, 1, 2, 3]], [[0, 0, 1, 1]], [0, 0, 1, 1], false],
])('position_ids %j with the mask %j are the segments %j', (rows, mask, segments, restarts) => {
  const found = rowSequences('f', ready(rows, mask))!;
  expect({ segments: [...found.segments], restarts: found.restarts }).toEqual({ segments, restarts });
  const { inputs } = hubSteps('f', ready(rows, mask), null).at(0);
  expect([...inputs['segments']!]).toEqual(segments);
  // no target of another sequence, whose labels are the ids
  inputs['targets']!.forEach((target, i) => {
    if (target >= 0 && segments[i]! > 0 && segments[i + 1]! > 0) expect(segments[i + 1]).toBe(segments[i]);
  });
  rows.flat().forEach((p, i) => segments[i]! > 0 && expect(inputs['positions']![i]).toBe(p));
});

it.each([
  [[[0, 1, 3]], 'row 0 at 2, expected 2, or 0 where the next sequence begins'],
  [
    [
      [0, 1],
      [1, 2],
    ],
    'row 1 at 0, expected a row that begins at 0',
  ],
  [[[0, 1, 1]], 'position_ids holds 1 in row 0 at 2'],
  [[[0, -1]], 'position_ids holds -1 in row 0 at 1'],
])('position_ids %j are refused: %s', (rows, words) => {
  expect(messageOf(() => rowSequences('f', ready(rows)))).toContain(words);
});

it('rows of several sequences are refused of a model that counts positions by rows', () => {
  expect(messageOf(() => checkRestarts('f', { inputs }))).toContain('f: its rows hold several sequences');
  checkRestarts('f', { inputs, relativePositions: true });
  checkRestarts('f', { inputs, canTakePositions: true });
  checkRestarts('f', { inputs: [...inputs, { ...inputs[0]!, name: 'positions' }] });
});
