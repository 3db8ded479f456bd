/** @file Any size works: random models, odd everything, on a device against the reference evaluator: the loss, and gradients along a random direction. */

import * as fc from 'fast-check';
import { compileModel, createEngine, evaluate, initialValues } from '../../src/index.ts';
import { callsOf, mainOf } from '../../src/ir/module.ts';
import { type Tensor, tensor } from '../../src/ir/tensor.ts';
import { microBatch } from '../../src/train/loop.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { type TinyOptions, tinyModel } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const odd = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const sizes = fc.record({
  hiddenSize: odd(23).map((n) => n + 1),
  headDim: odd(9).map((n) => 2 * n),
  vocabSize: odd(70).map((n) => n + 2),
  intermediateSize: odd(29),
  tie: fc.boolean(),
  B: odd(3),
  T: odd(17).map((n) => n + 1),
});

async function check(options: TinyOptions, { B, T }: { B: number; T: number }): Promise<void> {
  // compiled for more than is run: bounds are not sizes
  const traced = tinyModel({ ...options, numLayers: 1, dims: { B: B + 1, T: T + 3 } });
  const { program } = compileModel(traced, { device: { traits: opened.traits, maxBuffers: 8 } });
  const engine = await createEngine(opened.device, program, { micros: 1, decays: () => true, optimizer: 'none' });
  const values = traced.params.map((p) => {
    const count = p.shape.reduce((a, b) => a * b, 1);
    return p.table ? p.table() : initialValues({ kind: 'normal', std: 0.3 }, count, p.name, 1);
  });
  traced.params.forEach((_, i) => engine.writeParam(i, values[i]!));
  const vocab = options.vocabSize ?? 37;
  const tokens = Int32Array.from({ length: B * T }, (_, i) => (i * 7 + 1) % vocab);
  const targets = Int32Array.from({ length: B * T }, (_, i) => (i % 5 === 2 ? -100 : (i * 3 + 2) % vocab));
  const segments = Int32Array.from({ length: B * T }, (_, i) => (T > 3 && i % T === T - 1 ? 0 : 1));
  const batch = tokenBatch([B, T], tokens, targets, segments);
  const one = (name: string): number => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0);
  const { losses } = await engine.step([microBatch(batch, [], one)], null).read();

  const main = mainOf(traced.module);
  const inputs: Record<string, Int32Array> = { tokens, targets, segments };
  const directions = traced.params.map((p, i) => (p.trainable ? initialValues({ kind: 'normal', std: 1 }, values[i]!.length, `d.${p.name}`, 2) : null));
  const loss = (step: number): number => {
    const given = main.params.map(({ value, role }): Tensor => {
      const shape = value.type.shape.map((d) => (d === 'B' ? B : d === 'T' ? T : Number(d)));
      if (role === 'scalar') return tensor(value.type.dtype, shape, [one(value.name)]);
      if (role === 'input') return tensor('i32', shape, inputs[value.name]!);
      const index = traced.params.findIndex((p) => p.name === value.name);
      const direction = directions[index];
      return tensor(
        'f32',
        shape,
        Float64Array.from(values[index]!, (x, k) => x + (direction ? step * direction[k]! : 0)),
      );
    });
    return evaluate(traced.module, main, given, { B, T })[0]!.data[0]!;
  };
  expect(Math.abs(losses[0]! - loss(0))).toBeLessThan(1e-4);
  const h = 1e-4;
  const slope = (loss(h) - loss(-h)) / (2 * h);
  let along = 0;
  for (const [i, direction] of directions.entries())
    if (direction) (await engine.readParam(i, 'gradients')).forEach((g, k) => void (along += g * direction[k]!));
  expect({ options, B, T, ok: Math.abs(along - slope) < 2e-3 * Math.max(1, Math.abs(slope)), along, slope }).toMatchObject({ ok: true });
  engine.destroy();
}

/** A vocabulary of three parts, the last one smaller: gradients of the parts lie in those of the whole, tied or not. */
it.each([
  ['llama', true],
  ['llama', false],
  ['gpt2', true],
] as const)('the loss of a %s over a vocabulary in parts, tied: %s', async (kind, tie) => {
  const options = { kind, tie, hiddenSize: 16, headDim: 4, vocabSize: 150, intermediateSize: 20, logitsKept: 64 * 4 * 3 * 10 };
  const sites = callsOf(tinyModel({ ...options, dims: { B: 3, T: 10 } }).module).map((call) => call.attrs['site']);
  expect(sites.slice(-5)).toEqual(['head', 'head.0', 'head.1', 'head.2', 'loss']);
  await check(options, { B: 2, T: 7 });
});

it.each([
  ['llama', 4],
  ['gpt2', 2],
] as const)(
  'random sizes of a %s',
  async (kind, runs) => {
    for (const { B, T, ...options } of fc.sample(sizes, { numRuns: runs, seed: 7 })) {
      const hiddenSize = kind === 'gpt2' ? 2 * Math.ceil(options.hiddenSize / 2) : options.hiddenSize;
      await check({ ...options, kind, hiddenSize }, { B, T });
    }
  },
  600_000,
);
