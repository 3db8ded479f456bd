/** @file Accumulation weighs tokens: n micro-batches of one sequence are one of n, whatever their lengths; the old way differs. */

import type { Engine } from '../../src/runtime/execute.ts';
import { collate } from '../../src/train/batches.ts';
import type { RunConfig } from '../../src/train/config.ts';
import { measureSensitivities, newState, type StepMetrics, type TrainConfig, train, unitsOf } from '../../src/train/loop.ts';
import { lossShares } from '../../src/train/step.ts';
import { farthest, openSmall, sequencesOf, trained, VOCAB } from '../support/sessionGradients.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const sequences = sequencesOf([23, 4, 11, 30, 3, 9, 17, 5]);
const STEPS = 2;

async function run(engine: Engine, accumulate: number, given: Partial<TrainConfig> = {}): Promise<StepMetrics[]> {
  const lines: StepMetrics[] = [];
  const size = sequences.length / STEPS / accumulate;
  const units = unitsOf(engine);
  await train({
    engine,
    state: newState(engine),
    batches: { at: (index) => collate(sequences.slice(index * size, (index + 1) * size), VOCAB, 0) },
    config: {
      steps: STEPS,
      accumulate,
      clip: 0,
      seed: 0,
      schedule: 'constant',
      warmupSteps: 0,
      missingGrad: 'skip',
      allDropped: 'backward',
      // the micro-batches of a step share its pattern
      drop: { kind: 'fixed', patterns: [units.slice(1, 3), units.slice(0, 1)].flatMap((pattern) => Array<string[]>(accumulate).fill(pattern)) },
      optimizer: { name: 'sgd', lr: 0.1, momentum: 0.9, dampening: 0, nesterov: false, weightDecay: 0.01 },
      ...given,
    },
    onStep: (line) => void lines.push(line),
  });
  return lines;
}

it.each(['llama', 'gpt2'])('%s: four micro-batches of one sequence are one of four: losses, gradients, SGD weights', async (kind) => {
  const results = [];
  for (const accumulate of [1, 4]) {
    const engine = await openSmall(kind, opened, false, accumulate);
    const lines = await run(engine, accumulate);
    results.push({ lines, gradients: await trained(engine, 'gradients'), weights: await trained(engine, 'params') });
    engine.destroy();
  }
  const [whole, parts] = results;
  whole!.lines.forEach(({ loss, tokens }, i) => {
    expect(Math.abs(parts!.lines[i]!.loss - loss)).toBeLessThan(1e-6);
    expect(parts!.lines[i]!.tokens).toBe(tokens);
  });
  expect(farthest(parts!.gradients, whole!.gradients)).toBeLessThan(1e-6);
  expect(farthest(parts!.weights, whole!.weights)).toBeLessThan(1e-6);

  const old = await openSmall(kind, opened, false, 4);
  const lines = await run(old, 4, { lossOver: 'microBatches' });
  for (const { loss, losses } of lines) expect(loss).toBeCloseTo(losses.reduce((a, b) => a + b, 0) / 4, 12);
  expect(farthest(await trained(old, 'params'), whole!.weights)).toBeGreaterThan(1e-4);
  old.destroy();
});

it('a micro-batch whose backward is skipped has its share of the tokens all the same', async () => {
  const engine = await openSmall('llama', opened, false, 4);
  const units = unitsOf(engine);
  const gradients = async (given: Partial<TrainConfig>) => {
    await run(engine, 4, { steps: 1, ...given });
    return trained(engine, 'gradients');
  };
  const drop: TrainConfig['drop'] = { kind: 'fixed', patterns: [units, [], [], []] };
  const start = await trained(engine, 'params');
  const restore = () => engine.program.params.forEach((p, i) => p.trainable && engine.writeParam(i, start.get(p.name)!));
  const skipped = await gradients({ drop, allDropped: 'skip' });
  restore();
  // the same with the loss of the skipped one taken to nothing: what is left is the sum over the others, by the tokens of all
  const shares = lossShares(
    'tokens',
    sequences.slice(0, 4).map((s) => collate([s], VOCAB, 0)),
  );
  const found = new Map<string, Float32Array>();
  for (const k of [1, 2, 3]) {
    const batch = collate([sequences[k]!], VOCAB, 0);
    await engine
      .step([{ ...batch, pattern: new Map(), scalar: (name) => (name === 'loss_scale' ? shares[k]! : name === 'branch_weight' ? 1 : 0) }], null)
      .read();
    for (const [name, values] of await trained(engine, 'gradients'))
      found.set(
        name,
        values.map((v, i) => v + (found.get(name)?.[i] ?? 0)),
      );
  }
  expect(farthest(skipped, found)).toBeLessThan(1e-6);
  engine.destroy();
});

it('the last step of a run may have fewer micro-batches', async () => {
  const engine = await openSmall('llama', opened, false, 2);
  const seen: number[] = [];
  const lines = await train({
    engine,
    state: newState(engine),
    batches: {
      at: (index) => {
        seen.push(index);
        return collate([sequences[index]!], VOCAB, 0);
      },
    },
    config: {
      steps: 2,
      microBatches: 3,
      accumulate: 2,
      clip: 1,
      seed: 0,
      schedule: 'constant',
      warmupSteps: 0,
      missingGrad: 'skip',
      allDropped: 'backward',
      drop: { kind: 'none' },
      optimizer: { name: 'sgd', lr: 0.1, momentum: 0, dampening: 0, nesterov: false, weightDecay: 0 },
    },
  });
  expect(lines.step).toBe(2);
  expect(seen).toEqual([0, 1, 2]);
  engine.destroy();
});

it.each([
  [undefined, [3, 1], [0.75, 0.25]],
  ['tokens', [3, 0], [1, 0]],
  ['tokens', [0, 0], [0.5, 0.5]],
  ['microBatches', [3, 1], [0.5, 0.5]],
] as const)('lossOver %p: %j targets have the shares %j', (lossOver, counted, expected) => {
  const shares = lossShares(
    lossOver as RunConfig['lossOver'],
    counted.map((n) => ({ counted: n })),
  );
  expect(shares).toEqual(expected);
});

it('sensitivities weigh batches as the loss of a step does, and say how', async () => {
  const engine = await openSmall('llama', opened, false);
  const two = [collate(sequences.slice(0, 2), VOCAB, 0), collate(sequences.slice(2, 3), VOCAB, 0)];
  const measure = (from: number, count: number, lossOver: RunConfig['lossOver']) =>
    measureSensitivities({ engine, config: { accumulate: 1, seed: 0, allDropped: 'backward', lossOver }, batches: { at: (k) => two[k]! } }, from, count);
  const [first, second] = [await measure(0, 1, 'tokens'), await measure(1, 1, 'tokens')];
  for (const lossOver of ['tokens', 'microBatches'] as const) {
    const both = await measure(0, 2, lossOver);
    const [a, b] = lossShares(lossOver, two);
    expect(both.lossOver).toBe(lossOver);
    both.sensitivities.forEach((s, i) => expect(s).toBeCloseTo(a! * first.sensitivities[i]! + b! * second.sensitivities[i]!, 10));
  }
  engine.destroy();
});
