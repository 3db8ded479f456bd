/** @file Attention through a window, in a model on a device: shorter and longer sequences than the window, and generation over a cache. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { openCheckpoint, readHfConfig } from '../../src/models/checkpoint.ts';
import { logitsMode } from '../../src/models/inputs.ts';
import type { Engine } from '../../src/runtime/execute.ts';
import { createGenerator } from '../../src/session/generator.ts';
import { openSession, WITHOUT_UPDATES } from '../../src/session/session.ts';
import { makeBatch } from '../../src/train/batches.ts';
import { initialValues } from '../../src/train/init.ts';
import { expectClose } from '../support/close.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

const VOCAB = 29;
const WINDOW = 5;
/** Tokens of the longest sequence: more than generation takes in one chunk. */
const LONGEST = 67;
const FIELDS = {
  model_type: 'mistral',
  vocab_size: VOCAB,
  hidden_size: 12,
  intermediate_size: 20,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  max_position_embeddings: 128,
};
/** Between two orders of summation. */
const NEAR = 1e-4;

let folder: string;
let opened: TestDevice;
const engines: Engine[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-window-'));
  opened = await openTestDevice();
});
afterAll(() => {
  for (const engine of engines) engine.destroy();
  opened.device.destroy();
  rmSync(folder, { recursive: true });
});

/** A checkpoint of drawn weights, the same whatever the window. */
function checkpoint(window: number | null): string {
  const path = mkdtempSync(join(folder, 'm-'));
  const fields = { ...FIELDS, sliding_window: window };
  writeFileSync(join(path, 'config.json'), JSON.stringify(fields));
  const entries = [...readHfConfig('config.json', fields).model.tensors()].map(({ name, shape }) => {
    const count = shape.reduce((a, b) => a * b, 1);
    return { name, shape, dtype: 'F32' as const, data: initialValues({ kind: 'normal', std: 0.4 }, count, name, 7) };
  });
  writeSafetensors(join(path, 'model.safetensors'), entries);
  return path;
}

const prompt = (length: number): number[] => Array.from({ length }, (_, i) => (i * i + 3 * i + 1) % VOCAB);

/** What gives logits [length, VOCAB] of whole sequences of any length, without a cache. */
async function logitsOf(path: string): Promise<(ids: readonly number[]) => Promise<Float32Array>> {
  const { engine } = await openSession(path, opened, {
    ...WITHOUT_UPDATES,
    mode: logitsMode(LONGEST),
    dims: { B: 1, T: LONGEST },
    lora: null,
    trains: 'nothing',
  });
  engines.push(engine);
  return async (ids) => {
    const batch = makeBatch(1, ids.length, Int32Array.from(ids), Int32Array.from(ids), null, VOCAB);
    const [found] = await engine.forward({ ...batch, scalar: (name) => (name === 'branch_weight' ? 1 : 0) });
    return Float32Array.from(found!);
  };
}

const rows = (all: Float32Array, from: number, to: number): Float32Array => all.subarray(from * VOCAB, to * VOCAB);

it('changes nothing for tokens that it reaches back from to the first, and something for those behind', async () => {
  const [through, whole] = [await logitsOf(checkpoint(WINDOW)), await logitsOf(checkpoint(null))];
  const [a, b] = [await through(prompt(17)), await whole(prompt(17))];
  expectClose(rows(a, 0, WINDOW), rows(b, 0, WINDOW), NEAR, 'within the window');
  const [late, later] = [rows(a, WINDOW, 17), rows(b, WINDOW, 17)];
  expect(Math.max(...late.map((x, i) => Math.abs(x - later[i]!)))).toBeGreaterThan(0.1);
  expectClose(await through(prompt(3)), await whole(prompt(3)), NEAR, 'a sequence shorter than the window');
});

it('generation sees through it: prompts of several chunks, and the tokens that follow, have the logits of whole sequences', async () => {
  const path = checkpoint(WINDOW);
  const whole = await logitsOf(path);
  const generator = await createGenerator(openCheckpoint(path), opened, { capacity: 80, lora: null });
  // a chunk is 64 tokens
  for (const length of [3, 64, LONGEST])
    expectClose(await generator.logits(prompt(length)), rows(await whole(prompt(length)), length - 1, length), NEAR, `a prompt of ${length} tokens`);
  const ids = prompt(8);
  const chosen: number[] = [];
  const greedy = { maxNewTokens: 9, temperature: 0, topK: 0, topP: 1, seed: 0, stopIds: [] };
  for await (const id of generator.generate(ids, greedy)) chosen.push(id);
  generator.close();
  const all = await whole([...ids, ...chosen]);
  const likeliest = chosen.map((_, i) => {
    const row = rows(all, ids.length - 1 + i, ids.length + i);
    return row.indexOf(Math.max(...row));
  });
  expect(chosen).toEqual(likeliest);
});
