/** @file GGUF files in parts: any part opens all of them, and parts that are missing or of another model are refused by name. */

import { mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openGguf } from '../../src/formats/ggufParts.ts';
import { describeModel, openCheckpoint } from '../../src/models/checkpoint.ts';
import { messageOf } from './fixtureFolder.ts';
import { type GgufInput, ggufBytes, tinyLlamaGguf } from './ggufWriter.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-parts-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const pathOf = (part: number): string => join(folder, `m-0000${part}-of-00003.gguf`);

/** The tiny model with values of its own in every tensor. */
function model(): GgufInput {
  const { metadata, tensors } = tinyLlamaGguf();
  const filled = tensors.map((t, i) => ({ ...t, data: new Uint8Array(new Float32Array(t.data.length / 4).fill(i + 1).buffer) }));
  return { metadata, tensors: filled };
}

/** Writes it in three parts. @param change what parts say beside their place */
function write(change: (part: number) => Readonly<Record<string, unknown>> = () => ({})): void {
  const { metadata, tensors } = model();
  for (const part of [0, 1, 2]) {
    const split = { 'split.no': part, 'split.count': 3, 'split.tensors.count': tensors.length, ...change(part) };
    const own = tensors.filter((_, i) => Math.min(2, Math.floor(i / 4)) === part);
    writeFileSync(pathOf(part + 1), ggufBytes({ metadata: { ...(part === 0 ? metadata : {}), ...split }, tensors: own }));
  }
}

it('opens all parts from any of them, as the whole file', () => {
  const whole = join(folder, 'whole.gguf');
  writeFileSync(whole, ggufBytes(model()));
  write();
  const expected = [...openCheckpoint(whole).tensors.values()].map(({ name, read }) => [name, Buffer.from(read())]);
  for (const part of [1, 2, 3]) {
    const { path, tensors } = openCheckpoint(pathOf(part));
    expect(path).toBe(pathOf(1));
    expect([...tensors.values()].map(({ name, read }) => [name, Buffer.from(read())])).toEqual(expected);
    expect(new Set([...tensors.values()].map(({ file }) => file))).toEqual(new Set([1, 2, 3].map(pathOf)));
  }
});

it('refuses a missing part by its name', () => {
  write();
  rmSync(pathOf(2));
  expect(messageOf(() => openGguf(pathOf(3)))).toBe(
    `${pathOf(3)}: is one of 3 parts of a model, of which m-00002-of-00003.gguf is not beside it; put all parts into one folder`,
  );
  rmSync(pathOf(1));
  expect(messageOf(() => openGguf(pathOf(3)))).toContain('of which m-00001-of-00003.gguf, m-00002-of-00003.gguf are not beside it');
});

it('refuses a part under a name that does not tell the others', () => {
  write();
  renameSync(pathOf(1), join(folder, 'm.gguf'));
  expect(messageOf(() => openGguf(join(folder, 'm.gguf')))).toContain('m.gguf: is one of 3 parts of a model (split.count; split.no is 0)');
});

it.each<[(part: number) => Readonly<Record<string, unknown>>, string]>([
  [(part) => (part === 1 ? { 'split.no': 2 } : {}), 'm-00002-of-00003.gguf: split.no is 2, expected 1'],
  [(part) => (part === 2 ? { 'llama.block_count': 7 } : {}), 'm-00003-of-00003.gguf: llama.block_count is 7, expected 1'],
  [() => ({ 'split.tensors.count': 99 }), 'm-00001-of-00003.gguf: split.tensors.count is 99, and its 3 parts hold '],
  [() => ({ 'split.count': -1 }), 'split.count is -1, expected how many parts'],
])('refuses parts that contradict each other %#', (change, message) => {
  write(change);
  expect(messageOf(() => openGguf(pathOf(1)))).toContain(message);
});

it('says which part breaks off', () => {
  write();
  truncateSync(pathOf(2), 500);
  expect(describeModel(pathOf(1)).missing?.message).toContain(`${pathOf(2)}: has 500 of `);
  expect(messageOf(() => openCheckpoint(pathOf(1)))).toContain(`${pathOf(2)}: has 500 of `);
});

it('takes a file that was not split, whatever its name', () => {
  const path = join(folder, 'x-00001-of-00002.gguf');
  writeFileSync(path, ggufBytes({ ...model(), metadata: { ...model().metadata, 'split.count': 0 } }));
  expect(openCheckpoint(path).path).toBe(path);
});
