/** @file Packed rows on a device: the loss and every gradient are those of the sequences in rows of their own, for every family. */

import type { Engine } from '../../src/runtime/execute.ts';
import { neutralScalar } from '../../src/runtime/scalars.ts';
import { type Batch, collate, collateRows } from '../../src/train/batches.ts';
import { microBatch } from '../../src/train/loop.ts';
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
