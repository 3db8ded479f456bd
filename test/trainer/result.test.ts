/** @file The adapter a run writes: layers of a continued adapter keep their own ranks and scales. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../../src/formats/json.ts';
import { readPeft } from '../../src/formats/peft.ts';
import { writeResult } from '../../src/run/result.ts';
import type { DiskWeights } from '../../src/run/weights.ts';
import type { Engine } from '../../src/runtime/execute.ts';
import type { AdapterAbout } from '../../src/runtime/planFile.ts';

it('writes ranks and alphas by layer where they differ', async () => {
  const layers = { 'model.layers.0.self_attn.q_proj': { rank: 4, scale: 2 }, 'model.layers.1.self_attn.q_proj': { rank: 2, scale: 8 } };
  const lora: AdapterAbout = { rank: 4, alpha: 8, rslora: false, dropout: 0, layers, targetModules: ['q_proj'], fanInFanOut: false };
  const params = Object.entries(layers).flatMap(([layer, { rank }]) => [
    { name: `${layer}.weight`, shape: [6, 6], trainable: false },
    { name: `${layer}.lora_A.weight`, shape: [rank, 6], trainable: true },
    { name: `${layer}.lora_B.weight`, shape: [6, rank], trainable: true },
  ]);
  const engine = {
    program: { params },
    async *readPieces(i: number) {
      yield new Float32Array(params[i]!.shape.reduce((a, b) => a * b, 1)).fill(i);
    },
  };
  const folder = mkdtempSync(join(tmpdir(), 'ebb-adapter-'));
  await writeResult(folder, engine as unknown as Engine, { lora }, { path: '/model', checkpoint: null });
  expect(Object.fromEntries(readPeft(folder).layers)).toEqual(layers);
  rmSync(folder, { recursive: true });
});

it.each<[string, JsonObject, JsonObject, JsonObject]>([
  ['says that weights are stored as they are', { torch_dtype: 'bfloat16', x: 1 }, {}, { torch_dtype: 'float32', x: 1 }],
  ['says that a head of its own is not tied', { tie_word_embeddings: true }, { tie_word_embeddings: false }, { tie_word_embeddings: false }],
  ['leaves the rest alone', { tie_word_embeddings: true, dtype: 'float32' }, { tie_word_embeddings: true }, { tie_word_embeddings: true, dtype: 'float32' }],
])('%s in the config.json beside trained weights', async (_, fields, model, expected) => {
  const from = mkdtempSync(join(tmpdir(), 'ebb-from-'));
  const to = mkdtempSync(join(tmpdir(), 'ebb-to-'));
  writeFileSync(join(from, 'config.json'), JSON.stringify(fields));
  const checkpoint = { path: from, kind: 'hf', model: { configJson: () => model } } as unknown as DiskWeights['checkpoint'];
  await writeResult(to, { program: { params: [] } } as unknown as Engine, { lora: null }, { path: from, checkpoint });
  expect(JSON.parse(readFileSync(join(to, 'config.json'), 'utf8'))).toEqual(expected);
  for (const folder of [from, to]) rmSync(folder, { recursive: true });
});
