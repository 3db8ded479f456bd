/** @file GGUF files whose blocks no kernel reads, from the terminal: what they hold is said as it is stored, and their logits are those of the same numbers in f32. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlockType } from '../../src/formats/ggmlBlocks.ts';
import { openSafetensors, readFloats, writeSafetensors } from '../../src/formats/safetensors.ts';
import { runCli } from '../support/cli.ts';
import { storedConfig, writeStoredFolder, writeStoredGguf } from '../support/storedModels.ts';

let folder: string;
let batch: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-widened-'));
  batch = join(folder, 'batch.safetensors');
  const data = Int32Array.from({ length: 2 * 6 }, (_, i) => (i * 7) % 5);
  const tensors = ['input_ids', 'labels'].map((name) => ({ name, dtype: 'I32' as const, shape: [2, 6], data }));
  writeSafetensors(batch, tensors);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function ran(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

async function logits(model: string): Promise<Float32Array> {
  const out = `${model}.logits.safetensors`;
  await ran('forward', model, '--batch', batch, '--out', out);
  return readFloats(openSafetensors(out), 'logits');
}

/** Types in pairs: the second is that of rows of 64 values, which are too short for the first. */
const CASES: readonly (readonly [BlockType, BlockType])[] = [
  ['q2_k', 'q5_0'],
  ['q3_k', 'q5_1'],
  ['q5_k', 'iq4_nl'],
];

it.each(CASES)(
  '%s and %s',
  async (wide, narrow) => {
    const sizes = { hiddenSize: 256, headDim: 16, numHeads: 4, numKvHeads: 2, vocabSize: 37, intermediateSize: 96 };
    const config = storedConfig(sizes);
    const stored = join(folder, `${wide}.gguf`);
    const plain = join(folder, wide);
    const held = writeStoredGguf(stored, config, (name) => (/norm/.test(name) ? ['f32'] : [wide, narrow]));
    writeStoredFolder(plain, config, () => ['f32'], held);
    expect(await ran('check', stored)).toMatch(
      new RegExp(`a checkpoint Ebb can use: .* KiB of f32, ${[wide, narrow].sort((a, b) => (a < b ? -1 : 1)).join(', ')}`),
    );
    const found = await logits(stored);
    expect(found).toHaveLength(2 * 6 * 37);
    expect(new Set(found).size).toBeGreaterThan(100);
    expect(found).toEqual(await logits(plain));
    expect(readFileSync(stored).length).toBeLessThan(readFileSync(join(plain, 'model.safetensors')).length / 3);
  },
  120_000,
);
