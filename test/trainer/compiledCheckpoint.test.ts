/** @file A compiled trainer finds its weights by what the plan says of checkpoints, and refuses those of another model. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSafetensors, readFloats, writeSafetensors } from '../../src/formats/safetensors.ts';
import { widen } from '../../src/formats/weights.ts';
import { readHfConfig } from '../../src/models/checkpoint.ts';
import { trainingMode } from '../../src/models/inputs.ts';
import { llama } from '../../src/models/llama/llama.ts';
import { type CompiledModel, openForCompiled } from '../../src/run/compiledCheckpoint.ts';
import { openWeights } from '../../src/run/weights.ts';
import { aboutModel, traceCheckpoint } from '../../src/session/session.ts';
import { messageOf, readJson } from '../formats/fixtureFolder.ts';
import { storedConfig, writeStoredFolder, writeStoredGguf } from '../support/storedModels.ts';

let root: string;
let folder: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'ebb-compiled-'));
});
beforeEach(() => {
  folder = mkdtempSync(join(root, 'm-'));
});
afterAll(() => rmSync(root, { recursive: true }));

const CONFIG = storedConfig({ hiddenSize: 8, headDim: 4, numHeads: 2, numKvHeads: 1, vocabSize: 11, intermediateSize: 6 });

/** A model as a trainer knows it: the plan went through a file. */
function compiled(model = llama.ofSettings(CONFIG)): CompiledModel {
  const dims = { B: 1, T: 4 };
  const traced = traceCheckpoint({ model, tensors: new Map() }, { mode: trainingMode(4), dims, lora: null, trains: 'full' });
  const about = JSON.parse(JSON.stringify(aboutModel('m', model, traced, null))) as CompiledModel['about'];
  return { about, program: { params: traced.params.map(({ name, shape, table }) => ({ name, shape, table: table !== undefined })) } };
}

const valuesOf = (path: string): Map<string, Float32Array> =>
  new Map([...openForCompiled(path, compiled()).tensors].map(([name, source]) => [name, widen(source)]));

it('finds every parameter in a folder and in a GGUF file, whose rows it puts in order', () => {
  const wanted = writeStoredFolder(folder, CONFIG, () => ['bf16']);
  expect(valuesOf(folder)).toEqual(wanted);
  const path = join(folder, 'm.gguf');
  const stored = writeStoredGguf(path, CONFIG, () => ['f16']);
  expect(valuesOf(path)).toEqual(stored);
  expect(openForCompiled(path, compiled()).model.configJson()).toEqual(llama.ofSettings(CONFIG).configJson());
});

it('takes a checkpoint of the bare model, and what lies beside its tensors', () => {
  const wanted = writeStoredFolder(folder, CONFIG, () => ['f32']);
  const file = openSafetensors(join(folder, 'model.safetensors'));
  const bare = [...file.tensors.values()].map(({ name, shape }) => ({
    name: name.replace(/^model\./, ''),
    shape,
    dtype: 'F32' as const,
    data: readFloats(file, name),
  }));
  const frequencies = { name: 'layers.0.self_attn.rotary_emb.inv_freq', shape: [2], dtype: 'F32' as const, data: new Float32Array(2) };
  writeSafetensors(join(folder, 'model.safetensors'), [...bare, frequencies]);
  expect(valuesOf(folder)).toEqual(wanted);
  expect(openWeights(folder, (path) => openForCompiled(path, compiled())).checkpoint?.path).toBe(folder);
});

it.each([
  [{ rope_theta: 5e5 }, 'rope_theta is 500000, expected 10000, which the model was compiled with; compile it again for this checkpoint'],
  [{ rope_theta: undefined, rope_parameters: { rope_theta: 5e5 } }, 'rope_theta is 500000, expected 10000'],
  [{ rms_norm_eps: 1e-6 }, 'rms_norm_eps is 0.000001, expected 0.00001'],
  [{ hidden_act: 'relu' }, 'hidden_act is "relu", expected "silu"'],
  [{ pad_token_id: 3 }, 'pad_token_id is 3, expected null'],
  [{ model_type: 'mistral' }, 'model_type is "mistral", expected "llama"'],
])('a config.json with %j is refused', (change, message) => {
  writeStoredFolder(folder, CONFIG, () => ['f32']);
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify({ ...readJson(path), ...change }));
  expect(messageOf(() => openForCompiled(folder, compiled()))).toContain(`${path}: ${message}`);
});

it('takes other tokens, another dtype, and a config.json that says less', () => {
  const wanted = writeStoredFolder(folder, CONFIG, () => ['f32']);
  const fields = { model_type: 'llama', vocab_size: 11, dtype: 'bfloat16', eos_token_id: [1, 2], transformers_version: '9' };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(fields));
  expect(valuesOf(folder)).toEqual(wanted);
});

it('refuses tensors of another model, a GGUF file of another architecture, and any where none is known', () => {
  writeStoredFolder(folder, { ...CONFIG, numLayers: 2 }, () => ['f32']);
  writeFileSync(join(folder, 'config.json'), '{}');
  expect(messageOf(() => openForCompiled(folder, compiled()))).toMatch(/tensor "model\.layers\.1\..*" has no place in the model/);
  writeStoredFolder(folder, { ...CONFIG, intermediateSize: 4 }, () => ['f32']);
  writeFileSync(join(folder, 'config.json'), '{}');
  expect(messageOf(() => openForCompiled(folder, compiled()))).toMatch(/gate_proj.weight" has shape \[4, 8\], expected \[6, 8\]/);
  const path = join(folder, 'm.gguf');
  writeStoredGguf(path, CONFIG, () => ['f16']);
  writeFileSync(path, Buffer.from(readFileSync(path).toString('latin1').replace('llama', 'mamba'), 'latin1'));
  expect(messageOf(() => openForCompiled(path, compiled()))).toContain('general.architecture is "mamba", the model was compiled for llama');
  const gpt2 = readHfConfig('c', { model_type: 'gpt2', vocab_size: 11, n_embd: 8, n_layer: 1, n_head: 2, n_positions: 8 }).model;
  expect(messageOf(() => openForCompiled(path, compiled(gpt2)))).toContain('the names of its tensors are not those of the compiled model');
});

it('asks whether a head that lies beside a tie is the embedding', () => {
  const tied = storedConfig({ hiddenSize: 8, headDim: 4, numHeads: 2, numKvHeads: 1, vocabSize: 11, intermediateSize: 6 }, { tieWordEmbeddings: true });
  const untied = { ...tied, tieWordEmbeddings: false };
  writeStoredFolder(folder, untied, () => ['f32']);
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify({ ...readJson(path), tie_word_embeddings: true }));
  expect(messageOf(() => openForCompiled(folder, compiled(llama.ofSettings(tied))))).toContain(
    'tie_word_embeddings is true, but lm_head.weight holds other values than the embedding, and the model was compiled with one tensor for both',
  );
  const { tensors, notes } = openForCompiled(folder, compiled(llama.ofSettings(untied)));
  expect(tensors.has('lm_head.weight')).toBe(true);
  expect(notes).toEqual([expect.stringContaining('it is used, untied, as transformers does')]);
});
