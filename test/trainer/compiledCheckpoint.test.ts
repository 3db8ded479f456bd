/** @file A compiled trainer finds its weights by what the plan says of checkpoints, and refuses those of another model. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../../src/formats/json.ts';
import { openSafetensors, readFloats, writeSafetensors } from '../../src/formats/safetensors.ts';
import { widen } from '../../src/formats/weights.ts';
import { readHfConfig } from '../../src/models/checkpoint.ts';
import { trainingMode } from '../../src/models/inputs.ts';
import { llama } from '../../src/models/llama/llama.ts';
import { mistral } from '../../src/models/mistral/mistral.ts';
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

it.each<[JsonObject, string]>([
  [
    { rope_theta: 5e5 },
    'rope_theta is 500000, compiled for 10000; give a checkpoint with the configuration that the model was compiled with, or compile it again',
  ],
  [{ rope_theta: 5e5, rms_norm_eps: 1e-3 }, 'rms_norm_eps is 0.001, compiled for 0.00001; rope_theta is 500000, compiled for 10000; '],
  [
    { rope_theta: undefined!, rope_scaling: undefined!, rope_parameters: { rope_theta: 5e5, rope_type: 'linear', factor: 2 } },
    'rope_theta is 500000, compiled for 10000; rope_scaling is {"rope_type":"linear","factor":2}, compiled for null',
  ],
  [{ rope_scaling: { type: 'linear', factor: 4 } }, 'rope_scaling is {"rope_type":"linear","factor":4}, compiled for null'],
  [{ rms_norm_eps: undefined! }, 'rms_norm_eps is 0.000001 (the file leaves it out), compiled for 0.00001'],
  [{ num_key_value_heads: null }, 'num_key_value_heads is 2, compiled for 1'],
  [{ head_dim: 2, num_attention_heads: 4 }, 'num_attention_heads is 4, compiled for 2; head_dim is 2, compiled for 4'],
  [{ hidden_act: 'relu' }, 'hidden_act is "relu", compiled for "silu"'],
  [{ attention_bias: true }, 'attention_bias is true, compiled for false'],
  [{ pad_token_id: 3 }, 'pad_token_id is 3, compiled for null'],
  [{ model_type: 'mistral' }, 'model_type is "mistral", compiled for "llama"'],
  [{ sliding_window: 8 }, 'sliding_window is 8, compiled for null'],
  [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor is 0.5, expected 1'],
  [{ attn_logit_softcapping: 30 }, 'attn_logit_softcapping is 30, expected no such field in a llama configuration'],
])('a config.json with %j is refused', (change, message) => {
  writeStoredFolder(folder, CONFIG, () => ['f32']);
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify({ ...readJson(path), ...change }));
  expect(messageOf(() => openForCompiled(folder, compiled()))).toContain(`${path}: ${message}`);
});

it.each<[number | null, JsonObject, string | null]>([
  [4096, {}, null],
  [4096, { sliding_window: null }, 'sliding_window is null, compiled for 4096'],
  [null, {}, 'sliding_window is 4096 (the file leaves it out), compiled for null'],
  [null, { sliding_window: null }, null],
  [16, { sliding_window: 16, layer_types: ['sliding_attention'] }, null],
  [16, { sliding_window: 32 }, 'sliding_window is 32, compiled for 16'],
])('a Mistral compiled for a window of %j and a file with %j', (slidingWindow, given, refused) => {
  const model = mistral.ofSettings({ ...CONFIG, kind: 'mistral', slidingWindow });
  writeStoredFolder(folder, CONFIG, () => ['f32']);
  const path = join(folder, 'config.json');
  const { sliding_window: _, ...fields } = model.configJson();
  writeFileSync(path, JSON.stringify({ ...fields, ...given }));
  const open = (): unknown => openForCompiled(folder, compiled(model));
  if (refused === null) expect(open).not.toThrow();
  else expect(messageOf(open)).toContain(`${path}: ${refused}`);
});

it('takes other tokens, another dtype, and a config.json that leaves out what means the same', () => {
  const wanted = writeStoredFolder(folder, CONFIG, () => ['f32']);
  const path = join(folder, 'config.json');
  const { hidden_act: _act, rope_theta: _theta, rope_scaling: _scaling, attention_bias: _bias, tie_word_embeddings: _tie, ...others } = readJson(path);
  writeFileSync(path, JSON.stringify({ ...others, dtype: 'bfloat16', eos_token_id: [1, 2], transformers_version: '9', rms_norm_eps: 0.00001, made_by: 'us' }));
  expect(valuesOf(folder)).toEqual(wanted);
  expect(openForCompiled(folder, compiled()).notes).toContain('not used: made_by');
});

it('a plan of an earlier version: the fields that a file names are compared, and a note says that no others are', () => {
  writeStoredFolder(folder, CONFIG, () => ['f32']);
  const model = compiled();
  const { assumed: _, ...checkpoint } = model.about.checkpoint!;
  const earlier: CompiledModel = { ...model, about: { checkpoint } };
  expect(openForCompiled(folder, earlier).notes).toEqual([expect.stringContaining('the plan is of an earlier version')]);
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify({ ...readJson(path), rope_theta: undefined, rope_parameters: { rope_theta: 5e5 }, rms_norm_eps: undefined }));
  expect(messageOf(() => openForCompiled(folder, earlier))).toContain(`${path}: rope_theta is 500000, compiled for 10000; give`);
});

it('refuses tensors of another model, a GGUF file of another architecture, and any where none is known', () => {
  const config = join(folder, 'config.json');
  writeStoredFolder(folder, { ...CONFIG, numLayers: 2 }, () => ['f32']);
  writeFileSync(config, JSON.stringify(llama.ofSettings(CONFIG).configJson()));
  expect(messageOf(() => openForCompiled(folder, compiled()))).toMatch(/tensor "model\.layers\.1\..*" has no place in the model/);
  writeStoredFolder(folder, { ...CONFIG, intermediateSize: 4 }, () => ['f32']);
  writeFileSync(config, JSON.stringify(llama.ofSettings(CONFIG).configJson()));
  expect(messageOf(() => openForCompiled(folder, compiled()))).toMatch(/gate_proj.weight" has shape \[4, 8\], expected \[6, 8\]/);
  const path = join(folder, 'm.gguf');
  writeStoredGguf(path, CONFIG, () => ['f16']);
  writeFileSync(path, Buffer.from(readFileSync(path).toString('latin1').replace('llama', 'mamba'), 'latin1'));
  expect(messageOf(() => openForCompiled(path, compiled()))).toContain('general.architecture is "mamba", the model was compiled for llama');
  const gpt2 = readHfConfig('c', { model_type: 'gpt2', vocab_size: 11, n_embd: 8, n_layer: 1, n_head: 2, n_positions: 8 }).model;
  expect(messageOf(() => openForCompiled(path, compiled(gpt2)))).toContain('the names of its tensors are not those of the compiled model');
});

it.each<[object, RegExp]>([
  [{ ropeTheta: 5e5 }, /llama\.rope\.freq_base is 500000, compiled for 10000; give a checkpoint/],
  [{ rmsNormEps: 1e-3 }, /llama\.attention\.layer_norm_rms_epsilon is 0\.001\d*, compiled for 0\.00001/],
  [{ ropeScaling: { type: 'linear', factor: 2 } }, /positions are scaled by linear by 2, compiled for none/],
  [{ numHeads: 1, headDim: 8, numKvHeads: 1 }, /llama\.attention\.head_count is 1, compiled for 2.*llama\.attention\.key_length is 8, compiled for 4/],
])('refuses a GGUF file with other settings of the same shapes: %j', (change, message) => {
  const path = join(folder, 'm.gguf');
  writeStoredGguf(path, { ...CONFIG, ...change }, () => ['f16']);
  expect(messageOf(() => openForCompiled(path, compiled()))).toMatch(message);
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
