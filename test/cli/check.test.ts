/** @file `ebb check` names what it finds. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesSource } from '../../src/formats/bytes.ts';
import { parseGguf } from '../../src/formats/gguf.ts';
import { writePeft } from '../../src/formats/peft.ts';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { check } from '../../src/session/check.ts';
import { advice } from '../../src/session/doctor.ts';
import { ggufBytes, tinyLlamaGguf } from '../formats/ggufWriter.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-check-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

it.each([
  ['model.gguf', ggufBytes(tinyLlamaGguf()), true, 'a checkpoint Ebb can use: llama, 1 layer'],
  ['other.gguf', ggufBytes({ metadata: {}, tensors: [] }), true, 'not a model'],
  ['a.jsonl', '{"text":"a"}\n', true, '1 record'],
  ['b.jsonl', '{"messages":[{"role":"user","content":"a"}]}\n', true, '1 conversation'],
  ['c.jsonl', '{"text":"a"}\nx\n', false, 'line 2:'],
  ['d.txt', 'some text', true, '9 characters'],
  ['e.json', '{"input_ids":[[1,2]]}', true, 'ready batches'],
  ['f.json', '{}', true, 'nothing Ebb uses'],
  ['g.bin', 'x', false, 'a kind Ebb does not know'],
  ['h.safetensors', 'x', false, 'has 1 bytes'],
])('%s', async (name, content, ok, message) => {
  const report = await check(file(name, content));
  expect(report).toMatchObject({ ok, message: expect.stringContaining(message) });
  expect(report.message.startsWith(join(folder, name))).toBe(true);
});

it('knows batches, empty folders, lone configurations and absent paths', async () => {
  const path = join(folder, 'batches.safetensors');
  writeSafetensors(path, [{ name: 'input_ids', dtype: 'I32', shape: [1, 2], data: Int32Array.of(1, 2) }]);
  expect(await check(path)).toMatchObject({ ok: true, kind: 'batches' });
  const empty = mkdtempSync(join(folder, 'empty-'));
  expect(await check(empty)).toMatchObject({ ok: false, message: expect.stringContaining('holds no config.json') });
  const config = { model_type: 'gpt2', vocab_size: 5, n_embd: 4, n_layer: 2, n_head: 2, n_positions: 6 };
  writeFileSync(join(empty, 'config.json'), JSON.stringify(config));
  expect(await check(join(empty, 'config.json'))).toMatchObject({
    ok: true,
    kind: 'config',
    message: expect.stringContaining('without weights beside it that Ebb reads: gpt2, 2 layers'),
  });
  expect(await check(empty)).toMatchObject({ ok: true, kind: 'config', message: expect.stringContaining('holds no weights') });
  expect(await check(join(folder, 'nowhere'))).toMatchObject({ ok: false, message: expect.stringContaining('no such file') });
});

it('tells a header from a download that broke off, and neither is called a checkpoint', async () => {
  const path = join(folder, 'part.gguf');
  const whole = ggufBytes(tinyLlamaGguf());
  const { tensors } = parseGguf(bytesSource('whole', whole));
  const [start, end] = [Math.min, Math.max].map((of) => of(...[...tensors.values()].map((t) => t.byteOffset))) as [number, number];
  const cut = async (bytes: number) => {
    writeFileSync(path, whole.subarray(0, bytes));
    const { ok, kind, message } = await check(path);
    expect(message).not.toContain('a checkpoint Ebb can use');
    return { ok, kind, message };
  };
  const missing = (bytes: number) => `has ${bytes} of ${end + 512} bytes: the data of`;
  expect(await cut(start)).toMatchObject({ ok: true, kind: 'header', message: expect.stringContaining('header only, without weights: llama, 1 layer') });
  expect(await cut(start + 100)).toMatchObject({ ok: true, kind: 'header', message: expect.stringContaining(missing(start + 100)) });
  expect(await cut(end)).toMatchObject({ ok: false, kind: 'header', message: expect.stringContaining('cut off, without all of its weights') });
  expect(await cut(end + 511)).toMatchObject({ ok: false, message: expect.stringContaining(`${missing(end + 511)} 1 of its 11 tensors`) });
  expect(await cut(start - 100)).toMatchObject({ ok: false, message: expect.stringContaining('is it truncated?') });
});

it('refuses an adapter whose matrix is there twice', async () => {
  const tensor = (part: string) => ({ name: `base_model.model.x.q.lora_${part}.weight`, dtype: 'F32' as const, shape: [2, 2], data: new Float32Array(4) });
  const tensors = ['A', 'A.default', 'B'].map(tensor);
  await writePeft(join(folder, 'twice'), {
    rank: 2,
    alpha: 4,
    useRslora: false,
    dropout: 0,
    targetModules: ['q'],
    fanInFanOut: false,
    baseModel: null,
    tensors,
  });
  expect(await check(join(folder, 'twice'))).toMatchObject({ ok: false, message: expect.stringContaining('layer x.q has lora_A.weight twice') });
});

it.each([
  ['swiftshader', ['lavapipe', 'swiftshader'], /device lavapipe/],
  ['swiftshader', ['swiftshader'], /mesa-vulkan-drivers/],
  ['lavapipe', ['lavapipe', 'swiftshader'], /^no GPU was found; a GPU with/],
  ['lavapipe', ['nvidia', 'lavapipe'], /^a GPU was found and is not in use/],
  ['nvidia', ['nvidia', 'lavapipe'], /^a GPU is in use/],
] as const)('doctor on %s beside %j', (taken, found, message) => {
  expect(advice(taken, found)).toMatch(message);
});
