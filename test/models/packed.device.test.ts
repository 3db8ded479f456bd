/** @file Packed rows on a device: the loss and every gradient are those of the sequences in rows of their own, for every family. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import type { Engine } from '../../src/runtime/execute.ts';
import { neutralScalar } from '../../src/runtime/scalars.ts';
import { grad } from '../../src/session/forward.ts';
import { type Batch, collate, collateRows } from '../../src/train/batches.ts';
import { microBatch } from '../../src/train/loop.ts';
import { withFixtures } from '../formats/fixtureFolder.ts';
import { FAMILY_KINDS } from '../support/fixtureModels.ts';
import { farthest, openSmall, sequencesOf, trained, VOCAB } from '../support/sessionGradients.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const sequences = sequencesOf([13, 3, 9, 21, 17, 1, 6, 30]);
const rows = [
  [7, 3],
  [4, 0, 2],
  [6, 5, 1],
].map((row) => row.map((i) => sequences[i]!));

async function run(engine: Engine, batch: Batch) {
  const { losses } = await engine.step([microBatch(batch, [], neutralScalar)], null).read();
  return { loss: losses[0]!, gradients: await trained(engine, 'gradients') };
}

it.each(FAMILY_KINDS)('%s: packed rows give the loss and the gradients of separate ones', async (kind) => {
  const [plain, packing] = [await openSmall(kind, opened, false), await openSmall(kind, opened, true)];
  const separate = await run(plain, collate(sequences, VOCAB, 0));
  const packed = await run(packing, collateRows(rows, VOCAB, 0));
  expect(Math.abs(packed.loss - separate.loss)).toBeLessThan(1e-6);
  expect(farthest(packed.gradients, separate.gradients)).toBeLessThan(1e-6);
  // a token of another sequence of the row changes nothing of what the others give
  const changed = rows.map((row, r) =>
    row.map((s, k) => (r === 0 && k === 0 ? { ...s, tokens: s.tokens.map((t) => (t + 5) % VOCAB), labels: s.labels.map(() => -100) } : s)),
  );
  const without = rows.map((row, r) => row.filter((_, k) => r > 0 || k > 0));
  expect(farthest((await run(packing, collateRows(changed, VOCAB, 0))).gradients, (await run(packing, collateRows(without, VOCAB, 0))).gradients)).toBeLessThan(
    1e-6,
  );
  plain.destroy();
  packing.destroy();
});

withFixtures('models', (root) => {
  it.each(['gpt2', 'llama_gqa', 'mistral_swa'])('%s of the fixtures: position_ids that start over in a file are rows of their own', async (name) => {
    const model = join(root, name);
    const scratch = mkdtempSync(join(tmpdir(), 'ebb-packed-'));
    const own = [
      [5, 9, 12, 3],
      [7, 8, 2],
      [1, 4],
    ];
    const rows = (pad: number, of: (row: readonly number[]) => readonly number[]): number[] =>
      own.flatMap((row) => [...of(row), ...Array<number>(4 - row.length).fill(pad)]);
    const write = (file: string, shape: readonly number[], tensors: Readonly<Record<string, readonly number[]>>): string => {
      const path = join(scratch, file);
      writeSafetensors(
        path,
        Object.entries(tensors).map(([tensor, data]) => ({ name: tensor, dtype: 'I32', shape, data: Int32Array.from(data) })),
      );
      return path;
    };
    const packed = write('packed.safetensors', [1, 9], { input_ids: own.flat(), labels: own.flat(), position_ids: own.flatMap((row) => row.map((_, i) => i)) });
    const separate = write('separate.safetensors', [3, 4], {
      input_ids: rows(0, (r) => r),
      labels: rows(-100, (r) => r),
      attention_mask: rows(0, (r) => r.map(() => 1)),
    });
    const device = { ...opened, why: 'the test' };
    const [a, b] = [await grad(model, { batch: packed, device }), await grad(model, { batch: separate, device })];
    expect(Math.abs(a.loss - b.loss)).toBeLessThan(1e-6);
    for (const [param, norm] of Object.entries(b.norms)) expect(Math.abs(a.norms[param]! - norm)).toBeLessThan(1e-6 * Math.max(1, norm));
    rmSync(scratch, { recursive: true });
  });
});
