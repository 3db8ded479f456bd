/** @file Checkpoints written here: names with and without prefix, shards, and what does not fit the configuration. */

import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../../src/formats/json.ts';
import { type SafetensorsEntry, writeSafetensors } from '../../src/formats/safetensors.ts';
import { widen } from '../../src/formats/weights.ts';
import { describeModel, openCheckpoint, readHfConfig } from '../../src/models/checkpoint.ts';
import { openTokenizer } from '../../src/tokenizer/open.ts';
import { messageOf, rejectionOf } from './fixtureFolder.ts';
import { ggufBytes, tinyLlamaGguf } from './ggufWriter.ts';

const GPT2: JsonObject = { model_type: 'gpt2', vocab_size: 5, n_embd: 4, n_layer: 2, n_head: 2, n_positions: 6 };
const LLAMA: JsonObject = {
  model_type: 'llama',
  vocab_size: 5,
  hidden_size: 4,
  intermediate_size: 6,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  attention_bias: true,
  mlp_bias: true,
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-ck-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function entries(config: JsonObject): SafetensorsEntry[] {
  return [...readHfConfig('c', config).model.tensors()].map(({ name, shape }, i) => ({
    name,
    shape,
    dtype: 'F32',
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(i),
  }));
}

function write(config: JsonObject, tensors: SafetensorsEntry[]): void {
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeSafetensors(join(folder, 'model.safetensors'), tensors);
}

it.each([
  ['gpt2', GPT2, /^transformer\./],
  ['llama', LLAMA, /^model\./],
] as const)('%s: names are the same with and without the prefix', (_, config, prefix) => {
  write(config, entries(config));
  const names = [...openCheckpoint(folder).tensors.keys()];
  write(
    config,
    entries(config).map((e) => ({ ...e, name: e.name.replace(prefix, '') })),
  );
  const bare = openCheckpoint(folder);
  expect([...bare.tensors.keys()]).toEqual(names);
  names.forEach((name, i) => expect(widen(bare.tensors.get(name)!)[0]).toBe(i));
});

it('buffers that are computed are left out, others are refused', () => {
  const extra = (name: string): SafetensorsEntry => ({ name, dtype: 'F32', shape: [1], data: new Float32Array(1) });
  write(GPT2, [...entries(GPT2), extra('h.0.attn.bias'), extra('transformer.h.1.attn.masked_bias')]);
  expect(openCheckpoint(folder).tensors.size).toBe(entries(GPT2).length);
  write(LLAMA, [...entries(LLAMA), extra('model.layers.0.self_attn.rotary_emb.inv_freq')]);
  expect(openCheckpoint(folder).tensors.size).toBe(entries(LLAMA).length);
  write(LLAMA, [...entries(LLAMA), extra('model.layers.0.self_attn.q_norm.weight')]);
  expect(messageOf(() => openCheckpoint(folder))).toContain('"model.layers.0.self_attn.q_norm.weight" has no place');
});

it('refuses missing tensors, other shapes and other types, naming tensor and field', () => {
  write({ ...LLAMA, num_hidden_layers: 3 }, entries(LLAMA));
  expect(messageOf(() => openCheckpoint(folder))).toMatch(/model\.layers\.2\..*missing.*num_hidden_layers is 3/);
  write({ ...LLAMA, intermediate_size: 8 }, entries(LLAMA));
  expect(messageOf(() => openCheckpoint(folder))).toMatch(/shape \[6, 4\], expected \[8, 4\] \(intermediate_size/);
  write(
    LLAMA,
    entries(LLAMA).map((e) => (e.name.includes('lm_head') ? { ...e, dtype: 'I32' } : e)),
  );
  expect(messageOf(() => openCheckpoint(folder))).toContain('dtype I32, expected F32, F16 or BF16');
  write(
    LLAMA,
    entries(LLAMA).filter((e) => !e.name.includes('lm_head')),
  );
  expect(messageOf(() => openCheckpoint(folder))).toMatch(/"lm_head.weight" is missing.*tie_word_embeddings is false/);
});

it('reads shards', () => {
  const all = entries(LLAMA);
  write(LLAMA, all);
  const whole = [...openCheckpoint(folder).tensors.values()].map((t) => [t.name, t.shape, widen(t)]);
  rmSync(join(folder, 'model.safetensors'));
  writeSafetensors(join(folder, 'model-1.safetensors'), all.slice(0, 7));
  writeSafetensors(join(folder, 'model-2.safetensors'), all.slice(7));
  writeFileSync(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ weight_map: Object.fromEntries(all.map((e, i) => [e.name, `model-${i < 7 ? 1 : 2}.safetensors`])) }),
  );
  expect([...openCheckpoint(folder).tensors.values()].map((t) => [t.name, t.shape, widen(t)])).toEqual(whole);
});

it('says what is missing in a folder', async () => {
  expect(messageOf(() => openCheckpoint(folder))).toContain('holds no config.json');
  writeFileSync(join(folder, 'config.json'), JSON.stringify(LLAMA));
  writeFileSync(join(folder, 'pytorch_model.bin'), '');
  expect(messageOf(() => openCheckpoint(folder))).toContain('found pytorch_model.bin');
  write(LLAMA, entries(LLAMA));
  expect(await rejectionOf(openTokenizer(folder))).toContain('holds no tokenizer.json');
  expect(messageOf(() => openCheckpoint(join(folder, 'nowhere')))).toContain('no such file or folder');
});

it('opens a GGUF file, and refuses types it cannot read', async () => {
  const path = join(folder, 'm.gguf');
  const input = tinyLlamaGguf();
  writeFileSync(path, ggufBytes(input));
  const checkpoint = openCheckpoint(path);
  expect(checkpoint.tensors.get('model.layers.0.self_attn.k_proj.weight')).toMatchObject({ shape: [4, 8], dtype: 'f32', byteLength: 128 });
  expect((await openTokenizer(path)).vocabSize).toBe(5);
  const wrong = input.tensors.map((t) => (t.name === 'output_norm.weight' ? { ...t, type: 28, data: new Uint8Array(64) } : t));
  writeFileSync(path, ggufBytes({ ...input, tensors: wrong }));
  expect(messageOf(() => openCheckpoint(path))).toContain('"output_norm.weight" has type F64');
  const other = { name: 'blk.0.ffn_gate_exps.weight', type: 0, dims: [8], data: new Uint8Array(32) };
  writeFileSync(path, ggufBytes({ ...input, tensors: [...input.tensors, other] }));
  expect(messageOf(() => openCheckpoint(path))).toContain(`tensor "blk.0.ffn_gate_exps.weight" has no place in the model that m.gguf's metadata describes`);
  writeFileSync(path, ggufBytes({ ...input, tensors: input.tensors.filter(({ name }) => name !== 'blk.0.attn_q.weight') }));
  expect(messageOf(() => openCheckpoint(path))).toMatch(
    /tensor "blk.0.attn_q.weight" is missing, but expected by m.gguf's metadata, where num_hidden_layers is 1/,
  );
});

describe('a folder that contradicts itself', () => {
  const TIED: JsonObject = { ...LLAMA, tie_word_embeddings: true };
  const UNTIED: JsonObject = { ...LLAMA, tie_word_embeddings: false };
  const HEAD = 'lm_head.weight';
  const firstValue = (name: string): number => widen(openCheckpoint(folder).tensors.get(name)!)[0]!;

  it('keeps a stored head that differs from the embedding, whatever the tie says', () => {
    write(TIED, entries(UNTIED));
    const { config, notes } = openCheckpoint(folder);
    expect(config.tieWordEmbeddings).toBe(false);
    expect(notes).toEqual([
      expect.stringMatching(/^tie_word_embeddings is true, and the files hold lm_head.weight with other values than model.embed_tokens.weight: it is used/),
    ]);
    expect(firstValue(HEAD)).not.toBe(firstValue('model.embed_tokens.weight'));
  });

  it('does so for a family that ties by default, and for names without their prefix', () => {
    const own = { ...GPT2, tie_word_embeddings: false };
    write(
      GPT2,
      entries(own).map((e) => ({ ...e, name: e.name.replace(/^transformer\./, '') })),
    );
    const { config, notes } = openCheckpoint(folder);
    expect(config.tieWordEmbeddings).toBe(false);
    expect(notes).toEqual([expect.stringContaining('tie_word_embeddings is missing, which means true')]);
  });

  it('takes a head that is stored alone for the embedding that it is tied to, and says so', () => {
    const tensors = entries(TIED);
    const table = tensors.find(({ name }) => name === 'model.embed_tokens.weight')!;
    const rest = tensors.filter((one) => one !== table);
    write(TIED, [...rest, { ...table, name: HEAD }]);
    const { config, notes, tensors: found } = openCheckpoint(folder);
    expect(config.tieWordEmbeddings).toBe(true);
    expect(notes).toEqual(['tie_word_embeddings is true, and the files hold lm_head.weight alone: it is the embedding too, as in transformers']);
    expect(found.has('model.embed_tokens.weight') && !found.has(HEAD)).toBe(true);
    write(UNTIED, [...rest, { ...table, name: HEAD }]);
    expect(messageOf(() => openCheckpoint(folder))).toContain('"model.embed_tokens.weight" is missing');
    write(TIED, rest);
    expect(messageOf(() => openCheckpoint(folder))).toContain('"model.embed_tokens.weight" is missing');
  });

  it('says nothing of a head that is the embedding, also in another type', () => {
    const tensors = entries(UNTIED);
    const table = tensors.find(({ name }) => name === 'model.embed_tokens.weight')!;
    const rest = tensors.filter(({ name }) => name !== HEAD);
    write(TIED, [...rest, { ...table, name: HEAD }]);
    expect(openCheckpoint(folder)).toMatchObject({ notes: [], config: { tieWordEmbeddings: true } });
    write(TIED, [...rest, { ...table, name: HEAD, dtype: 'BF16', data: new Uint16Array(20) }]);
    expect(openCheckpoint(folder)).toMatchObject({ notes: [], config: { tieWordEmbeddings: true } });
  });

  it('says that a head whose data is not there cannot be compared', () => {
    write(TIED, entries(UNTIED));
    truncateSync(join(folder, 'model.safetensors'), statSync(join(folder, 'model.safetensors')).size - 4);
    const { config, notes } = describeModel(folder);
    expect(config.tieWordEmbeddings).toBe(true);
    expect(notes).toEqual([expect.stringContaining('it is taken to be model.embed_tokens.weight until its data is there to compare')]);
  });

  it('reads the single file beside an index, or the one that is given, and says so', () => {
    const index = 'model.safetensors.index.json';
    write(UNTIED, entries(UNTIED));
    writeSafetensors(
      join(folder, 'other.safetensors'),
      entries(UNTIED).map((e) => ({ ...e, data: (e.data as Float32Array).map((x) => x + 100) })),
    );
    const map = Object.fromEntries(entries(UNTIED).map(({ name }) => [name, 'other.safetensors']));
    writeFileSync(join(folder, index), JSON.stringify({ weight_map: map }));
    const firstOf = (path: string): number => widen(openCheckpoint(path).tensors.get('model.embed_tokens.weight')!)[0]!;
    expect(firstOf(folder)).toBe(0);
    expect(openCheckpoint(folder).notes).toEqual([expect.stringMatching(/^model.safetensors.index.json is not used: model.safetensors lies beside it/)]);
    expect(firstOf(join(folder, index))).toBe(100);
    expect(openCheckpoint(join(folder, index)).notes).toEqual(['model.safetensors is not used: model.safetensors.index.json lies beside it, which was given']);
  });

  it('keeps the values of tensors that the dtype of config.json would round, and says so', () => {
    write({ ...UNTIED, torch_dtype: 'bfloat16' }, entries(UNTIED));
    expect(openCheckpoint(folder).notes).toEqual([
      'torch_dtype is "bfloat16": not used, the tensors are stored as f32 and keep their values, which transformers would round',
    ]);
    write({ ...UNTIED, dtype: 'float32' }, entries(UNTIED));
    expect(openCheckpoint(folder).notes).toEqual([]);
  });

  it('lists how other programs run the model once, as not used', () => {
    write({ ...UNTIED, use_flash_attention_2: true, use_sdpa: true, unsloth_version: '1' }, entries(UNTIED));
    expect(openCheckpoint(folder).notes).toEqual(['not used: use_flash_attention_2, use_sdpa, unsloth_version']);
  });
});
