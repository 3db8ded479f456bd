/** @file Updates are counted on the device: what AdamW's moments are divided by, against f64; what is not updated is not counted. */

import { compileModel } from '../../src/compile/compile.ts';
import { COLUMNS, MOST_UPDATES } from '../../src/runtime/corrections.ts';
import { COUNT_BYTES, countsLayout } from '../../src/runtime/countsLayout.ts';
import type { DeviceBuffer } from '../../src/runtime/device.ts';
import { createEngine, type Engine, type Update } from '../../src/runtime/execute.ts';
import { neutralScalar } from '../../src/runtime/scalars.ts';
import { trainableBuffer } from '../../src/runtime/storage.ts';
import { initialValues } from '../../src/train/init.ts';
import { microBatch } from '../../src/train/loop.ts';
import { updateScalar } from '../../src/train/optimizer.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { tinyModel } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.close());

const batch = tokenBatch(
  [2, 9],
  Int32Array.from({ length: 18 }, (_, i) => (i * 11) % 37),
);

type Optimizer = 'adamw' | 'sgd';

async function engineOf(optimizer: Optimizer): Promise<{ engine: Engine; units: readonly string[] }> {
  const traced = tinyModel({ numLayers: 4 });
  const { program } = compileModel(traced, { device: { traits: opened.traits, maxBuffers: 8 }, optimizers: [optimizer] });
  const engine = await createEngine(opened.device, program, { micros: 1, decays: () => true, optimizer });
  traced.params.forEach((p, i) => {
    const count = p.shape.reduce((a, b) => a * b, 1);
    engine.writeParam(i, p.table ? p.table() : initialValues({ kind: 'normal', std: 0.2 }, count, p.name, 1));
  });
  return { engine, units: traced.units };
}

const adamw = (betas: [number, number]): Update => ({
  optimizer: 'adamw',
  maxNorm: 0,
  alsoUntouched: false,
  scalar: (name) => updateScalar({ name: 'adamw', lr: 1e-3, betas, eps: 1e-8, weightDecay: 0 }, 1e-3, name),
});

/** The buffer of what is counted. */
function countsOf({ storage, buffers }: Engine): DeviceBuffer {
  return buffers[trainableBuffer(storage.trainablePages.length, 0) + storage.frozenPages.length + 2]!;
}

/** What the moments of each group are divided by, after a step. */
async function corrections(engine: Engine): Promise<readonly (readonly [bias1: number, bias2Sqrt: number])[]> {
  const groups = engine.storage.groups.length;
  const rates = new Float32Array(await opened.device.read(countsOf(engine), countsLayout(groups, 'adamw').columns['rates']!, groups * COUNT_BYTES));
  return Array.from({ length: groups }, (_, g) => [rates[g * COLUMNS + 1]!, rates[g * COLUMNS + 2]!]);
}

const step = async (engine: Engine, update: Update, dropped: readonly string[] = []): Promise<readonly number[]> => {
  const result = engine.step([microBatch(batch, dropped, neutralScalar)], update);
  await result.read();
  return result.updated;
};

it.each<[number, number]>([
  [0.9, 0.999],
  [0.95, 0.99],
  [0, 0.5],
  [0.999, 0.99999],
  [0.9, 0.9999999],
])(
  '1 − βᵗ for β = %p and %p, from the first update to the last that is counted, within a millionth of f64',
  async (beta1, beta2) => {
    const { engine } = await engineOf('adamw');
    const groups = engine.storage.groups.length;
    const steps = [1, 2, 3, 7, 20, 100, 999, 1000, 4095, 4096, 4097, 8191, 8192, 12_345, 99_999, 1e6, 4_194_304, 1e7, MOST_UPDATES - 1, MOST_UPDATES];
    for (let from = 0; from < steps.length; from += groups) {
      const counts = Array.from({ length: groups }, (_, g) => steps[from + g] ?? 1);
      engine.writeUpdates(counts.map((t) => t - 1));
      await step(engine, adamw([beta1, beta2]));
      expect(await engine.readUpdates()).toEqual(counts);
      for (const [g, [bias1, bias2Sqrt]] of (await corrections(engine)).entries()) {
        const exact = [1 - beta1 ** counts[g]!, Math.sqrt(1 - beta2 ** counts[g]!)] as const;
        // in the first period they are what f64 rounds to
        if (counts[g]! < 4096) expect([counts[g], bias1, bias2Sqrt]).toEqual([counts[g], ...exact.map(Math.fround)]);
        expect(Math.abs(bias1 / exact[0] - 1)).toBeLessThan(1e-6);
        expect(Math.abs(bias2Sqrt / exact[1] - 1)).toBeLessThan(1e-6);
      }
    }
    engine.destroy();
  },
  300_000,
);

it('counts stay at the largest number that is counted to', async () => {
  const { engine } = await engineOf('sgd');
  engine.writeUpdates(engine.storage.groups.map(() => MOST_UPDATES - 1));
  const update: Update = { optimizer: 'sgd', maxNorm: 0, alsoUntouched: false, scalar: () => 0 };
  for (let i = 0; i < 3; i++) await step(engine, update);
  expect(new Set(await engine.readUpdates())).toEqual(new Set([MOST_UPDATES]));
  engine.destroy();
});

it.each<Optimizer>(['adamw', 'sgd'])('%s: a group whose units are all dropped is not counted, whatever is dropped before and after', async (optimizer) => {
  const { engine, units } = await engineOf(optimizer);
  const update: Update = optimizer === 'adamw' ? adamw([0.9, 0.999]) : { optimizer, maxNorm: 1, alsoUntouched: false, scalar: () => 0 };
  const expected = engine.storage.groups.map(() => 0);
  expect(await engine.readUpdates()).toEqual(expected);
  for (const dropped of [[], units.slice(0, 3), units, units.filter((_, i) => i % 2 === 0), [], units.slice(5)])
    for (const group of await step(engine, update, dropped)) expected[group] = expected[group]! + 1;
  expect(new Set(expected).size).toBeGreaterThan(2);
  expect(await engine.readUpdates()).toEqual(expected);
  await step(engine, { ...update, alsoUntouched: true }, units);
  expect(await engine.readUpdates()).toEqual(expected.map((n) => n + 1));
  engine.destroy();
});

it('refuses counts of another number of groups, another optimizer, and an engine without one', async () => {
  const { engine } = await engineOf('sgd');
  expect(() => engine.writeUpdates([1])).toThrow(`the updates of 1 groups were given, the engine has ${engine.storage.groups.length}`);
  expect(() => engine.step([microBatch(batch, [], neutralScalar)], adamw([0.9, 0.99]))).toThrow(
    'the engine was made for the optimizer sgd, the update is of adamw',
  );
  const { program } = engine;
  const idle = await createEngine(opened.device, program, { micros: 1, decays: () => true, optimizer: 'none' });
  await expect(idle.readUpdates()).rejects.toThrow('the engine was made without an optimizer, and counts no updates');
  idle.destroy();
  engine.destroy();
});
