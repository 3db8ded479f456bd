/** @file What a run writes: adapters whose layers keep their own ranks and scales; a model in its checkpoint's types, with a true config and all files beside it. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bf16ToF32, f16ToF32 } from '../../src/formats/floats.ts';
import type { JsonObject } from '../../src/formats/json.ts';
import { readPeft } from '../../src/formats/peft.ts';
import { openSafetensors, readFloats, readTensor } from '../../src/formats/safetensors.ts';
import { isSideFile } from '../../src/formats/sideFiles.ts';
import { writeResult } from '../../src/run/result.ts';
import type { ResultDtype } from '../../src/run/trainedPieces.ts';
import { type DiskWeights, NO_WEIGHTS } from '../../src/run/weights.ts';
import type { Engine } from '../../src/runtime/execute.ts';
import type { AdapterAbout } from '../../src/runtime/planFile.ts';

let scratch: string;
let made = 0;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-result-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));
const newFolder = (): string => {
  const folder = join(scratch, `${made++}`);
  mkdirSync(folder);
  return folder;
};

interface Trained {
  readonly name: string;
  readonly shape: readonly number[];
  readonly trainable: boolean;
  readonly values: Float32Array;
}

const engineOf = (params: readonly Trained[]): Engine =>
  ({
    program: { params },
    async *readPieces(i: number) {
      const { values } = params[i]!;
      // in two pieces, so that places are counted over both
      yield values.slice(0, 2);
      yield values.slice(2);
    },
  }) as unknown as Engine;

it('writes ranks and alphas by layer where they differ', async () => {
  const layers = { 'model.layers.0.self_attn.q_proj': { rank: 4, scale: 2 }, 'model.layers.1.self_attn.q_proj': { rank: 2, scale: 8 } };
  const lora: AdapterAbout = { rank: 4, alpha: 8, rslora: false, dropout: 0, layers, targetModules: ['q_proj'], fanInFanOut: false };
  const param = (name: string, shape: number[], trainable: boolean): Trained => ({ name, shape, trainable, values: new Float32Array(shape[0]! * shape[1]!) });
  const params = Object.entries(layers).flatMap(([layer, { rank }]) => [
    param(`${layer}.weight`, [6, 6], false),
    param(`${layer}.lora_A.weight`, [rank, 6], true),
    param(`${layer}.lora_B.weight`, [6, rank], true),
  ]);
  const folder = newFolder();
  expect(await writeResult(folder, engineOf(params), { lora }, { ...NO_WEIGHTS, path: '/model' }, 'checkpoint')).toBe('float32');
  expect(Object.fromEntries(readPeft(folder).layers)).toEqual(layers);
  await writeResult(folder, engineOf(params), { lora }, { ...NO_WEIGHTS, path: '/model' }, 'bf16');
  expect(new Set([...openSafetensors(join(folder, 'adapter_model.safetensors')).tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(['BF16']));
});

/** A checkpoint whose tensors are stored as said, and the files beside them. */
function checkpointOf(stored: Readonly<Record<string, string>>, files: Readonly<Record<string, string>>, model: JsonObject = {}): DiskWeights {
  const from = newFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(from, name)), { recursive: true });
    writeFileSync(join(from, name), text);
  }
  const checkpoint = { path: from, kind: 'hf', model: { configJson: () => model } };
  const tensors = new Map(Object.entries(stored).map(([name, dtype]) => [name, { name, dtype }]));
  return { path: from, checkpoint, tensors, adapter: null } as unknown as DiskWeights;
}

const VALUES = Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, -0.3, 65519);
const trained = (name: string, values = VALUES): Trained => ({ name, shape: [values.length], trainable: true, values });

it.each<[ResultDtype, JsonObject, string[], string]>([
  ['checkpoint', { torch_dtype: 'bfloat16', x: 1 }, ['BF16', 'BF16', 'F32', 'F16', 'F32'], 'bfloat16'],
  ['f32', { torch_dtype: 'bfloat16', x: 1 }, ['F32', 'F32', 'F32', 'F32', 'F32'], 'float32'],
  ['bf16', { torch_dtype: 'bfloat16', dtype: 'float32' }, ['BF16', 'BF16', 'BF16', 'BF16', 'BF16'], 'bfloat16'],
  ['f16', { x: 1 }, ['F16', 'F16', 'F16', 'F16', 'F16'], 'float16'],
])('resultDtype %s: types of tensors, and what config.json says', async (asked, config, expected, dtype) => {
  const weights = checkpointOf({ a: 'bf16', b: 'bf16', norm: 'f32', half: 'f16', quants: 'q8_0' }, { 'config.json': JSON.stringify(config) });
  const out = newFolder();
  const params = ['a', 'b', 'norm', 'half', 'quants'].map((name) =>
    trained(name, name === 'a' || name === 'b' ? Float32Array.of(...VALUES, ...VALUES) : VALUES),
  );
  expect(await writeResult(out, engineOf(params), { lora: null }, weights, asked)).toBe(dtype);
  const file = openSafetensors(join(out, 'model.safetensors'));
  expect([...file.tensors.values()].map((t) => t.dtype)).toEqual(expected);
  const said = Object.fromEntries(Object.entries(config).map(([name, value]) => [name, name === 'x' ? value : dtype]));
  expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toEqual(said);
  // ties go to even: 1 + 2⁻⁸ lies between 1 and 1 + 2⁻⁷, 1 + 3·2⁻⁸ between 1 + 2⁻⁷ and 1 + 2⁻⁶
  if (expected[0] === 'BF16') expect([...bf16ToF32(readTensor(file, 'a')).slice(0, 2)]).toEqual([1, 1 + 2 ** -6]);
  if (expected[3] === 'F16') expect(f16ToF32(readTensor(file, 'half'))[3]).toBe(65504);
  if (expected[4] === 'F32') expect([...readFloats(file, 'quants')]).toEqual([...VALUES]);
});

it('a value that a type has no number for is refused by its name and place, and NaN in any', async () => {
  const weights = checkpointOf({ far: 'f16' }, { 'config.json': '{}' });
  const write = (values: Float32Array<ArrayBuffer>, dtype: ResultDtype): Promise<string> =>
    writeResult(newFolder(), engineOf([trained('far', values)]), { lora: null }, weights, dtype);
  await expect(write(Float32Array.of(1, 2, -65520), 'checkpoint')).rejects.toThrow(
    /after training "far" holds -65520 at element 2, which F16 has no number for/,
  );
  await expect(write(Float32Array.of(1, 3.3961776e38, 0), 'bf16')).rejects.toThrow(/at element 1, which BF16 has no number for/);
  await expect(write(Float32Array.of(1, 2, Number.NaN), 'f32')).rejects.toThrow(/after training "far" holds NaN at element 2, expected finite numbers/);
  await expect(write(Float32Array.of(Number.NEGATIVE_INFINITY, 2, 0), 'bf16')).rejects.toThrow(/after training "far" holds -Infinity at element 0/);
});

it('everything that comes along with weights is copied, and nothing else', async () => {
  const beside = [
    'added_tokens.json',
    'additional_chat_templates/rag.jinja',
    'additional_chat_templates/tool_use.jinja',
    'chat_template.jinja',
    'generation_config.json',
    'merges.txt',
    'special_tokens_map.json',
    'spiece.model',
    'tokenizer.json',
    'tokenizer_config.json',
    'vocab.json',
  ];
  const left = [
    'README.md',
    'additional_chat_templates/notes.txt',
    'additional_chat_templates/deep/er.jinja',
    'model.safetensors.index.json',
    'other/tokenizer.json',
  ];
  const files = Object.fromEntries([...beside, ...left].map((name) => [name, `the ${name}`]));
  const weights = checkpointOf({}, { ...files, 'config.json': JSON.stringify({ eos_token_id: [3, 5] }) });
  const out = newFolder();
  await writeResult(out, engineOf([trained('a')]), { lora: null }, weights, 'checkpoint');
  const found = readdirSync(out, { recursive: true, withFileTypes: true }).flatMap((f) =>
    f.isFile() ? [join(f.parentPath, f.name).slice(out.length + 1)] : [],
  );
  expect(found.sort()).toEqual([...beside, 'config.json', 'model.safetensors'].sort());
  for (const name of beside) expect(readFileSync(join(out, name), 'utf8')).toBe(`the ${name}`);
  expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toEqual({ eos_token_id: [3, 5] });
  expect([...beside, ...left].filter(isSideFile)).toEqual(beside);
});

it.each<[string, JsonObject, JsonObject, JsonObject]>([
  ['says that a head of its own is not tied', { tie_word_embeddings: true }, { tie_word_embeddings: false }, { tie_word_embeddings: false }],
  ['leaves the rest alone', { tie_word_embeddings: true, dtype: 'float32' }, { tie_word_embeddings: true }, { tie_word_embeddings: true, dtype: 'float32' }],
])('config.json %s', async (_, fields, model, expected) => {
  const weights = checkpointOf({}, { 'config.json': JSON.stringify(fields) }, model);
  const out = newFolder();
  await writeResult(out, engineOf([]), { lora: null }, weights, 'checkpoint');
  expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toEqual(expected);
});
