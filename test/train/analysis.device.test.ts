/** @file Analysis on a device: the bias of dropping is found where there is one and not where weights undo it; nothing is trained meanwhile. */

import { measureGradients } from '../../src/analyze/gradients.ts';
import { timeSteps } from '../../src/analyze/timing.ts';
import { compileModel } from '../../src/compile/compile.ts';
import { estimate } from '../../src/dropbp/fidelity/estimate.ts';
import type { BatchFidelity } from '../../src/dropbp/fidelity/fidelity.ts';
import { createEngine, type Engine } from '../../src/runtime/execute.ts';
import { initialValues } from '../../src/train/init.ts';
import type { TrainConfig } from '../../src/train/loop.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { tinyModel } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

let opened: TestDevice;
let engine: Engine;
beforeAll(async () => {
  opened = await openTestDevice();
  const traced = tinyModel({ numLayers: 2, lora: true });
  const { program } = compileModel(traced, { device: { traits: opened.traits, maxBuffers: 8 }, optimizers: ['adamw'] });
  engine = await createEngine(opened.device, program, { micros: 2, decays: () => true, optimizer: 'adamw' });
  traced.params.forEach((p, i) => {
    const size = p.shape.reduce((a, b) => a * b, 1);
    engine.writeParam(i, p.table ? p.table() : initialValues({ kind: 'normal', std: 0.3 }, size, p.name, 1));
  });
});
afterAll(() => {
  engine.destroy();
  opened.device.destroy();
});

const batches = {
  at: (k: number) =>
    tokenBatch(
      [2, 9],
      Int32Array.from({ length: 18 }, (_, i) => (i * 11 + 5 * k) % 37),
    ),
};
const config: TrainConfig = {
  steps: 8,
  seed: 5,
  accumulate: 2,
  clip: 1,
  missingGrad: 'skip',
  allDropped: 'backward',
  drop: { kind: 'none' },
  schedule: 'constant',
  warmupSteps: 0,
  optimizer: { name: 'adamw', lr: 1e-2, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0.1 },
};
const halved = { kind: 'uniform', rate: 0.5, sampling: 'bernoulli' } as const;

it('finds no bias under bernoulli with weights, within three standard errors, and a large one without', async () => {
  const done: number[] = [];
  const steps = 5;
  const { units, none, plans } = await measureGradients({
    engine,
    config,
    batches,
    plans: [{ ...halved, weights: true }, halved, { kind: 'none' }],
    steps,
    patterns: 8,
    onGradient: (at, total) => void done.push(total - at),
  });
  expect(units).toEqual(['layers.0.attn', 'layers.0.mlp', 'layers.1.attn', 'layers.1.mlp']);
  expect(done).toHaveLength(steps * (2 + 3 * 8));
  expect(done.at(-1)).toBe(0);
  const bias = (list: readonly BatchFidelity[]) => estimate(list.map((b) => b.whole.biasSquared));
  const [weighted, plain, whole] = plans as [BatchFidelity[], BatchFidelity[], BatchFidelity[]];
  expect(Math.abs(bias(weighted).mean)).toBeLessThan(3 * bias(weighted).error!);
  expect(bias(plain).mean).toBeGreaterThan(5 * bias(plain).error!);
  expect(bias(plain).mean).toBeGreaterThan(0.1);
  // weights pay with noise
  expect(estimate(weighted.map((b) => b.whole.variance)).mean).toBeGreaterThan(2 * estimate(plain.map((b) => b.whole.variance)).mean);
  // nothing dropped is the full gradient itself, and its progress that of full steps
  for (const [i, b] of whole.entries()) {
    expect(b.whole.cosine).toBeCloseTo(1, 6);
    expect(b.whole.variance).toBeLessThan(1e-12);
    expect(b.progress).toBeCloseTo(none[i]!, 5);
    for (const unit of b.groups) expect(unit).toMatchObject({ kept: 1 });
  }
  expect(none.every((c) => c !== null && Math.abs(c) < 1)).toBe(true);
});

it('reads all gradients as they are read one by one', async () => {
  const trainable = engine.program.params.flatMap((p, i) => (p.trainable ? [i] : []));
  const seen = new Map<number, Float32Array>();
  for await (const [param, gradient] of engine.readGradients(trainable)) seen.set(param, gradient);
  expect(seen.size).toBe(trainable.length);
  for (const param of trainable) expect(seen.get(param)).toEqual(await engine.readParam(param, 'gradients'));
});

it('times steps of every plan without changing a parameter', async () => {
  const trainable = engine.program.params.flatMap((p, i) => (p.trainable ? [i] : []));
  const before = await Promise.all(trainable.map((i) => engine.readParam(i)));
  const [full, half] = await timeSteps({ engine, config, batches, plans: [{ kind: 'none' }, { ...halved, sampling: 'fixed-budget' }], patterns: 3, rounds: 2 });
  expect(await Promise.all(trainable.map((i) => engine.readParam(i)))).toEqual(before);
  expect(half!.flops).toBeLessThan(full!.flops);
  expect(half!.forwardFlops).toBe(full!.forwardFlops);
  expect(half!.peakBytes).toBeLessThan(full!.peakBytes);
  expect(full!.roundMs).toHaveLength(2);
  expect(full!.ms).toBeLessThanOrEqual(full!.medianMs);
  expect(full!.ms).toBeGreaterThan(0);
});
