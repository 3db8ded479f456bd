/** @file Between backward and update: gradients that an exchange reads, scales, writes and adds; and what a step costs without one. */

import { deviceTraits } from '../../src/codegen/kernel/device.ts';
import { compileModel } from '../../src/compile/compile.ts';
import type { Device } from '../../src/runtime/device.ts';
import type { Exchange, StepGradients } from '../../src/runtime/exchange.ts';
import { createEngine, type Engine, type StepResult, type Update } from '../../src/runtime/execute.ts';
import { neutralScalar } from '../../src/runtime/scalars.ts';
import { parseConfig } from '../../src/train/config.ts';
import { initialValues } from '../../src/train/init.ts';
import { microBatch, newState, train } from '../../src/train/loop.ts';
import { expectClose } from '../support/close.ts';
import { openCounting } from '../support/countingDevice.ts';
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
const sgd = (lr: number, maxNorm = 0): Update => ({
  optimizer: 'sgd',
  maxNorm,
  alsoUntouched: false,
  scalar: (name) => ({ lr, fresh: 1 })[name] ?? 0,
});

interface Made {
  readonly engine: Engine;
  readonly units: readonly string[];
}

async function made(device: Device, exchange?: Exchange, micros = 1): Promise<Made> {
  const traced = tinyModel({ numLayers: 2 });
  const { program } = compileModel(traced, { device: { traits: deviceTraits(device), maxBuffers: 8 }, optimizers: ['sgd'] });
  const engine = await createEngine(device, program, { micros, decays: () => true, optimizer: 'sgd', ...(exchange ? { exchange } : {}) });
  traced.params.forEach((p, i) => {
    const count = p.shape.reduce((a, b) => a * b, 1);
    engine.writeParam(i, p.table ? p.table() : initialValues({ kind: 'normal', std: 0.2 }, count, p.name, 1));
  });
  return { engine, units: traced.units };
}

async function finished(result: StepResult): Promise<StepResult> {
  await result.exchanged;
  await result.read();
  return result;
}

const stepOf = ({ engine }: Made, update: Update, dropped: readonly string[] = []): Promise<StepResult> =>
  finished(engine.step([microBatch(batch, dropped, neutralScalar)], update));

async function trained({ engine }: Made): Promise<ReadonlyMap<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  for (const [i, p] of engine.program.params.entries()) if (p.trainable) found.set(p.name, await engine.readParam(i));
  return found;
}

const scaled =
  (factor: number): Exchange =>
  async (gradients) => {
    for (const { param, present } of gradients.ranges)
      if (present)
        gradients.write(
          param,
          (await gradients.read(param)).map((g) => factor * g),
        );
  };

it('gradients that are scaled by two move parameters as twice the rate does, and those written back as they were move them as before', async () => {
  const [plain, twice, same] = [await made(opened.device), await made(opened.device, scaled(2)), await made(opened.device, scaled(1))];
  for (let i = 0; i < 3; i++) {
    await stepOf(twice, sgd(0.05));
    await stepOf(plain, sgd(0.1));
  }
  expect(await trained(twice)).toEqual(await trained(plain));
  const again = await made(opened.device);
  for (let i = 0; i < 3; i++) {
    await stepOf(same, sgd(0.1, 1));
    await stepOf(again, sgd(0.1, 1));
  }
  expect(await trained(same)).toEqual(await trained(again));
  for (const { engine } of [plain, twice, same, again]) engine.destroy();
});

it('the norm and the clip scale are those of the gradients that the exchange leaves', async () => {
  const [plain, twice] = [await made(opened.device), await made(opened.device, scaled(2))];
  const norm = async ({ engine }: Made): Promise<number> => (await engine.step([microBatch(batch, [], neutralScalar)], sgd(0, 1)).read()).gradNorm;
  expect((await norm(twice)) / (await norm(plain))).toBeCloseTo(2, 6);
  for (const { engine } of [plain, twice]) engine.destroy();
});

it('a unit that was not kept has no gradient, until the exchange writes one', async () => {
  const seen: StepGradients['ranges'][] = [];
  let write: ((gradients: StepGradients) => Promise<void>) | undefined;
  const model = await made(opened.device, (gradients) => {
    seen.push(gradients.ranges);
    return write?.(gradients);
  });
  const { engine, units } = model;
  const dropped = units[1]!;
  const own = engine.program.calls.find((c) => c.site === dropped)!.arguments.flatMap((a) => (a.kind === 'param' ? [a.param] : []));
  const trains = own.filter((param) => engine.program.params[param]!.trainable);
  const absent = (ranges: StepGradients['ranges']): number[] => ranges.filter((r) => !r.present).map((r) => r.param);

  await stepOf(model, sgd(0.1), [dropped]);
  expect(absent(seen[0]!)).toEqual(trains);
  expect(seen[0]!.map((r) => r.param)).toEqual(engine.program.params.flatMap((p, i) => (p.trainable ? [i] : [])));
  for (const { param, bytes, buffer, offset } of seen[0]!) {
    const [{ name, shape }, elements] = [engine.program.params[param]!, bytes / 4];
    expect([name, elements]).toEqual([name, shape.reduce((a, b) => a * b, 1)]);
    expect(offset + bytes).toBeLessThanOrEqual(buffer.bytes);
  }

  const before = await engine.readParam(trains[0]!);
  const counts = await engine.readUpdates();
  const groups = engine.storage.groups.flatMap((g, i) => (g.params.some((param) => trains.includes(param)) ? [i] : []));
  expect(groups.map((g) => counts[g])).toEqual(groups.map(() => 0));
  write = async (gradients) => {
    await expect(gradients.read(trains[0]!)).rejects.toThrow(`parameter ${engine.program.params[trains[0]!]!.name} got no gradient in this step`);
    for (const param of trains) {
      const { bytes } = gradients.ranges.find((r) => r.param === param)!;
      expect(() => gradients.write(param, new Float32Array(1 + bytes / 4))).toThrow(/was given \d+ elements, it has \d+/);
      gradients.write(param, new Float32Array(bytes / 4).fill(0.5));
    }
    expect(await gradients.read(trains[0]!)).toEqual(new Float32Array(before.length).fill(0.5));
  };
  const { updated } = await stepOf(model, sgd(0.5), [dropped]);
  expect(groups.filter((g) => updated.includes(g))).toEqual(groups);
  expect(await engine.readParam(trains[0]!)).toEqual(before.map((x) => Math.fround(x - 0.25)));
  engine.destroy();
});

it('several micro-batches are exchanged once, all added up', async () => {
  let exchanges = 0;
  const sums: Float32Array[] = [];
  const both = await made(
    opened.device,
    async (gradients) => {
      exchanges++;
      sums.push(await gradients.read(gradients.ranges[0]!.param));
    },
    2,
  );
  const micro = microBatch(batch, [], neutralScalar);
  await finished(both.engine.step([micro], sgd(0)));
  await finished(both.engine.step([micro, micro], sgd(0)));
  expect(exchanges).toBe(2);
  expectClose(
    sums[1]!,
    sums[0]!.map((g) => 2 * g),
    1e-6,
    'both gradients',
  );
  both.engine.destroy();
});

it('an exchange that works on the device, and returns nothing, lets the step go on at once', async () => {
  const model = await made(opened.device, ({ device, ranges }) => {
    const recording = device.record();
    for (const { buffer, offset, bytes } of ranges) recording.clear(buffer, offset, bytes);
    device.submit(recording);
  });
  const before = await trained(model);
  const result = model.engine.step([microBatch(batch, [], neutralScalar)], sgd(0.1));
  expect(result.exchanged).toBeUndefined();
  expect(result.updated.length).toBe(model.engine.storage.groups.length);
  expect((await result.read()).gradNorm).toBe(0);
  expect(await trained(model)).toEqual(before);
  model.engine.destroy();
});

it('no step begins before an exchange has ended, and one that fails fails its step', async () => {
  let fails = false;
  const model = await made(opened.device, async () => {
    if (fails) throw new Error('the other process is gone');
  });
  const micro = microBatch(batch, [], neutralScalar);
  const first = model.engine.step([micro], sgd(0.1));
  expect(() => model.engine.step([micro], sgd(0.1))).toThrow('a step began before the exchange of the last one had ended');
  await finished(first);
  expect(first.updated.length).toBeGreaterThan(0);
  fails = true;
  const before = await trained(model);
  await expect(model.engine.step([micro], sgd(0.1)).read()).rejects.toThrow('the other process is gone');
  expect(await trained(model)).toEqual(before);
  fails = false;
  await stepOf(model, sgd(0.1));
  model.engine.destroy();
});

it('steps without an update exchange nothing', async () => {
  let exchanges = 0;
  const model = await made(opened.device, () => void exchanges++);
  await model.engine.step([microBatch(batch, [], neutralScalar)], null).read();
  await model.engine.forward(microBatch(batch, [], neutralScalar));
  expect(exchanges).toBe(0);
  model.engine.destroy();
});

it('a training loop waits for its exchanges, to the losses that it has without one', async () => {
  const config = {
    ...parseConfig({ model: 'm', data: 'd', seed: 4, drop: { kind: 'uniform', rate: 0.5 }, optimizer: { name: 'sgd', lr: 0.1 } }, 'x'),
    steps: 6,
  };
  const losses = async (exchange?: Exchange): Promise<readonly number[]> => {
    const { engine } = await made(opened.device, exchange);
    const found: number[] = [];
    await train({ engine, config, batches: { at: () => batch }, state: newState(engine), onStep: ({ loss }) => void found.push(loss) });
    engine.destroy();
    return found;
  };
  const plain = await losses();
  expect(plain).toHaveLength(6);
  expect(await losses(scaled(1))).toEqual(plain);
  expect(await losses(scaled(0.5))).not.toEqual(plain);
});

it('costs nothing where there is none: two submissions a step; one more with one', async () => {
  const { device, counts } = await openCounting();
  const submissions = async (exchange?: Exchange): Promise<number> => {
    const { engine } = await made(device, exchange);
    const step = async (): Promise<void> => void (await engine.step([microBatch(batch, [], neutralScalar)], sgd(0.1)).read());
    await step();
    counts.clear();
    await step();
    engine.destroy();
    return counts.submissions;
  };
  expect([await submissions(), await submissions(() => {})]).toEqual([2, 3]);
  device.destroy();
});
