/** @file A gradient that is no number updates nothing, bit for bit; and what is not finite first is found, in forward and backward, wherever it comes from. */

import { compileModel } from '../../src/compile/compile.ts';
import { greaterEqual, log, mean, mul, param, select, sqrt, square, traceModel } from '../../src/index.ts';
import { createEngine, type Engine, type MicroBatch, type Update } from '../../src/runtime/execute.ts';
import { nonFiniteText } from '../../src/runtime/nonFiniteValue.ts';
import { neutralScalar } from '../../src/runtime/scalars.ts';
import { unit } from '../../src/trace/context.ts';
import { defineModel } from '../../src/trace/trace.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

/** x [B, 3] → mean of squares behind two units: the first takes a log, the second a root. */
const definition = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 3] } },
  dims: { B: 2 },
  build: ({ x }) => {
    const a = unit('logs', mul(x, param('first', [3])), (v) => mul(log(v), param('inner', [3])));
    const b = unit('roots', a, (v) => sqrt(mul(v, param('second', [3]))));
    return mean(square(select(greaterEqual(b, -1000), b, 0)));
  },
});

async function engineOf(optimizer: 'adamw' | 'sgd'): Promise<Engine> {
  const traced = traceModel(definition, { dims: { B: 2 } });
  const device = { traits: opened.traits, maxBuffers: opened.device.profile.limits.maxStorageBuffersPerShaderStage };
  const { program } = compileModel(traced, { device, optimizers: [optimizer] });
  const engine = await createEngine(opened.device, program, { micros: 2, decays: () => true, optimizer });
  program.params.forEach((_, i) => engine.writeParam(i, Float32Array.of(1, 0.5, 2)));
  engine.writeUpdates(engine.storage.groups.map(() => 0));
  return engine;
}

const micro = (x: readonly number[], change: Partial<MicroBatch> = {}): MicroBatch => ({
  sizes: { B: 2 },
  inputs: { x: Float32Array.from(x) },
  pattern: new Map(),
  scalar: neutralScalar,
  ...change,
});
const GOOD = [9, 8, 7, 6, 5, 4];
const RATES: Readonly<Record<string, number>> = { lr: 0.001, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.1, momentum: 0.9, fresh: 1, nesterov: 0 };

/** Everything that an update writes. */
async function lasting(engine: Engine): Promise<unknown> {
  const kinds = (['params', 'm', 'v'] as const).filter((kind) => kind in engine.memory);
  const values = engine.program.params.flatMap((_, i) => kinds.map(async (kind) => [...(await engine.readParam(i, kind))]));
  return { values: await Promise.all(values), updates: await engine.readUpdates() };
}

it.each([
  ['adamw', 1],
  ['adamw', 0],
  ['sgd', 1],
  ['sgd', 0],
] as const)('%s with clip %d: a gradient that is NaN leaves weights, moments and counts as they were', async (optimizer, maxNorm) => {
  const engine = await engineOf(optimizer);
  const update: Update = { optimizer, maxNorm, alsoUntouched: false, scalar: (name) => RATES[name] ?? Number.NaN };
  const step = async (...micros: MicroBatch[]): Promise<number> => (await engine.step(micros, update).read()).gradNorm;
  const fresh = await lasting(engine);
  expect(await step(micro(GOOD))).toBeGreaterThan(0);
  const before = await lasting(engine);
  expect(before).not.toEqual(fresh);
  for (const broken of [
    [9, 8, -7, 6, 5, 4],
    [9, 8, 0, 6, 5, 4],
    [9, 8, 3e38, 6, 5, 4],
  ]) {
    expect(Number.isFinite(await step(micro(GOOD), micro(broken)))).toBe(false);
    expect(await lasting(engine)).toEqual(before);
  }
  // and the next one goes on from there
  expect(await step(micro(GOOD))).toBeGreaterThan(0);
  expect(await lasting(engine)).not.toEqual(before);
  engine.destroy();
});

it.each<[string, MicroBatch, string | null]>([
  ['nothing', micro(GOOD), null],
  [
    'a log of a negative number',
    micro([9, 8, 7, 6, -5, 4]),
    'the first function whose output is not finite is logs, in its forward: its result \\w+ holds NaN at \\[1, 1\\]',
  ],
  ['an input', micro([9, 8, 7, Number.POSITIVE_INFINITY, 5, 4]), 'input x holds Infinity at \\[1, 0\\]'],
  ['a root at 0, whose derivative is none', micro([9, 8, 7, 6, 1, 4]), null],
])('finds %s', async (_, batch, expected) => {
  const engine = await engineOf('adamw');
  const found = await engine.findNonFinite(batch);
  if (expected === null) expect(found && nonFiniteText(found)).toBeNull();
  else expect(nonFiniteText(found!)).toMatch(new RegExp(`^${expected}`));
  engine.destroy();
});

it('finds a weight that is none, by its name, where it is first read', async () => {
  const engine = await engineOf('adamw');
  const index = engine.program.params.findIndex(({ name }) => name === 'second');
  engine.writeParam(index, Float32Array.of(1, 1, Number.NaN));
  const found = await engine.findNonFinite(micro(GOOD, { forwardOnly: true }));
  expect(nonFiniteText(found!)).toBe('weight second holds NaN at [2]');
  engine.destroy();
});

it('finds what backward alone makes', async () => {
  const engine = await engineOf('adamw');
  // second · v = 0 has a root, and no derivative there
  engine.writeParam(
    engine.program.params.findIndex(({ name }) => name === 'second'),
    Float32Array.of(1, 0, 1),
  );
  const batch = micro(GOOD);
  expect(await engine.findNonFinite({ ...batch, forwardOnly: true })).toBeNull();
  expect(nonFiniteText((await engine.findNonFinite(batch))!)).toMatch(
    /^the first function whose output is not finite is roots, in its backward: its gradient of \w+ holds (NaN|-?Infinity) at /,
  );
  engine.destroy();
});
