/** @file What really reaches the device, counted at the WebGPU calls: dropped units leave no backward, nothing saved and no write. */

import { deviceTraits } from '../../src/codegen/kernel/device.ts';
import { compileModel } from '../../src/compile/compile.ts';
import { permutation } from '../../src/dropbp/random.ts';
import type { Device } from '../../src/runtime/device.ts';
import { createEngine, type Engine, type Update } from '../../src/runtime/execute.ts';
import { BUFFERS, bufferOf, offsetOf } from '../../src/runtime/link/address.ts';
import { trainableBuffer } from '../../src/runtime/storage.ts';
import { initialValues } from '../../src/train/init.ts';
import { microBatch } from '../../src/train/loop.ts';
import { type Counts, type Dispatch, gpuBuffer, openCounting } from '../support/countingDevice.ts';
import { type TinyOptions, tinyModel } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

const opened: Device[] = [];
afterAll(() => {
  for (const device of opened) device.destroy();
});

const UPDATE: Update = { optimizer: 'sgd', maxNorm: 1, scalar: (name) => (name === 'lr' ? 0.01 : 0), alsoUntouched: false };

interface Counted {
  readonly engine: Engine;
  readonly counts: Counts;
  readonly units: readonly string[];
  step(dropped: readonly string[], T?: number): Promise<{ loss: number; dispatches: readonly Dispatch[]; updated: readonly number[] }>;
}

async function counted(options: TinyOptions): Promise<Counted> {
  const { device, counts } = await openCounting();
  opened.push(device);
  const traced = tinyModel(options);
  const { program } = compileModel(traced, { device: { traits: deviceTraits(device), maxBuffers: 8 }, optimizers: ['sgd'] });
  const engine = await createEngine(device, program, { micros: 1, decays: () => true, optimizer: 'sgd' });
  traced.params.forEach((p, i) => {
    const size = p.shape.reduce((a, b) => a * b, 1);
    engine.writeParam(i, p.table ? p.table() : initialValues({ kind: 'normal', std: 0.1 }, size, p.name, 1));
  });
  return {
    engine,
    counts,
    units: traced.units,
    async step(dropped, T = 9) {
      counts.clear();
      const ids = Int32Array.from({ length: 2 * T }, (_, i) => (i * 7 + T) % 37);
      const batch = tokenBatch([2, T], ids);
      const result = engine.step([microBatch(batch, dropped, (name) => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0))], UPDATE);
      const { losses } = await result.read();
      return { loss: losses[0]!, dispatches: counts.dispatches, updated: result.updated };
    },
  };
}

const randomDrop = (units: readonly string[], seed: number): string[] => {
  const order = permutation(units.length, seed, 9, 9);
  return order.slice(0, (seed * 7) % (units.length + 1)).map((i) => units[i]!);
};

/** Byte ranges of a unit's parameters (kind 0) or of their gradients (kind 1). */
function rangesOf({ engine }: Counted, unit: string, kind: 0 | 1) {
  const call = engine.program.calls.find((c) => c.site === unit)!;
  return call.arguments.flatMap((a) => {
    if (a.kind !== 'param' || !engine.program.params[a.param]!.trainable) return [];
    const at = engine.storage.placement.params[a.param]!;
    const page = (bufferOf(at) - trainableBuffer(0, 0)) / 4;
    return [{ buffer: gpuBuffer(engine.buffers[trainableBuffer(page, kind)]!), offset: offsetOf(at), size: engine.program.params[a.param]!.bytes }];
  });
}
type Range = ReturnType<typeof rangesOf>[number];
const touching = (dispatches: readonly Dispatch[], ranges: readonly Range[], writing = false): number =>
  dispatches.filter((d) =>
    d.ranges.some((b) => (!writing || b.writable) && ranges.some((r) => r.buffer === b.buffer && r.offset < b.offset + b.size && b.offset < r.offset + r.size)),
  ).length;

/** Dispatches that sum up squares of gradients, one for each stretch of neighbouring groups; the others. */
function normsApart({ engine }: Counted, dispatches: readonly Dispatch[]): { norms: number; others: number } {
  const norms = engine.buffers[trainableBuffer(engine.storage.trainablePages.length, 0) + engine.storage.frozenPages.length]!;
  const parts = [{ buffer: gpuBuffer(norms), offset: 0, size: 256 * engine.storage.groups.length }];
  // the clip scale is made of all parts, written elsewhere in the same buffer
  const own = dispatches.filter((d) => touching([d], parts, true) === 1 && d.ranges.length === 2).length;
  return { norms: own, others: dispatches.length - own };
}

/** Stretches of updated groups that lie side by side. */
function stretches({ engine }: Counted, updated: readonly number[]): number {
  const groups = updated.map((g) => engine.storage.groups[g]!);
  return groups.filter((g, i) => i === 0 || groups[i - 1]!.page !== g.page || groups[i - 1]!.offset + groups[i - 1]!.bytes !== g.offset).length;
}

describe('a 12-layer model', () => {
  let model: Counted;
  beforeAll(async () => {
    model = await counted({ numLayers: 12 });
  });

  it('runs no backward, binds no gradient and writes no parameter of a dropped unit, over random patterns', async () => {
    const { units, engine } = model;
    const nothing = await model.step(units);
    const reads = new Map(units.map((u) => [u, touching(nothing.dispatches, rangesOf(model, u, 0))]));
    const added = new Map<string, number>();
    const others = (dispatches: readonly Dispatch[]): number => normsApart(model, dispatches).others;
    for (const u of units) added.set(u, others((await model.step(units.filter((v) => v !== u))).dispatches) - others(nothing.dispatches));
    for (let seed = 1; seed <= 30; seed++) {
      const dropped = randomDrop(units, seed);
      const { dispatches, updated } = await model.step(dropped);
      for (const u of dropped) {
        expect(touching(dispatches, rangesOf(model, u, 1))).toBe(0);
        expect(touching(dispatches, rangesOf(model, u, 0), true)).toBe(0);
        // its weights are bound by its forward alone
        expect(touching(dispatches, rangesOf(model, u, 0))).toBe(reads.get(u));
      }
      for (const u of units.filter((v) => !dropped.includes(v))) expect(touching(dispatches, rangesOf(model, u, 1), true)).toBeGreaterThan(0);
      const kept = units.filter((u) => !dropped.includes(u));
      expect(others(dispatches)).toBe(others(nothing.dispatches) + kept.reduce((sum, u) => sum + added.get(u)!, 0));
      expect(normsApart(model, dispatches).norms).toBe(stretches(model, updated));
      expect(updated.length).toBe(engine.storage.groups.length - dropped.length);
    }
  });

  it('saves nothing of a dropped unit: the stack below the head holds what kept units saved', async () => {
    const { units, engine } = model;
    const stack = gpuBuffer(engine.buffers[BUFFERS.stack]!);
    const head = engine.program.calls.at(-1)!;
    const norm = head.arguments.find(
      (a) => a.kind === 'param' && engine.program.calls.filter((c) => c.arguments.some((x) => x.kind === 'param' && x.param === a.param)).length === 1,
    );
    const at = engine.storage.placement.params[norm?.kind === 'param' ? norm.param : 0]!;
    /** Lowest stack byte that the head's forward writes. */
    const base = (dispatches: readonly Dispatch[]): number => {
      const first = dispatches.find((d) =>
        d.ranges.some((r) => r.buffer === gpuBuffer(engine.buffers[bufferOf(at)]!) && r.offset <= offsetOf(at) && offsetOf(at) < r.offset + r.size),
      )!;
      return Math.min(...first.ranges.filter((r) => r.buffer === stack && r.writable).map((r) => r.offset));
    };
    const trunk = base((await model.step(units)).dispatches);
    const saved = new Map<string, number>();
    for (const u of units) saved.set(u, base((await model.step(units.filter((v) => v !== u))).dispatches) - trunk);
    expect(Math.min(...saved.values())).toBeGreaterThan(0);
    for (let seed = 3; seed <= 20; seed++) {
      const dropped = randomDrop(units, seed);
      const whole = base((await model.step(dropped)).dispatches) - trunk;
      // kept neighbours share the activation between them, so the sum is an upper bound that only kept units add to
      const kept = units.filter((u) => !dropped.includes(u));
      expect(whole).toBeLessThanOrEqual(kept.reduce((sum, u) => sum + saved.get(u)!, 0));
    }
  });
});

it('creates nothing after the first step and submits its forward and the rest, over 1,000 steps of random patterns and lengths', async () => {
  const model = await counted({ numLayers: 3 });
  await model.step([]);
  const made: Record<string, number> = {};
  let finite = true;
  for (let seed = 1; seed <= 1000; seed++) {
    const { loss } = await model.step(randomDrop(model.units, seed), 2 + (seed % 8));
    finite &&= Number.isFinite(loss);
    for (const [name, n] of Object.entries(model.counts.created)) made[name] = (made[name] ?? 0) + n;
    if (model.counts.submissions !== 2) throw new Error(`step ${seed} submitted ${model.counts.submissions} times`);
  }
  expect(finite).toBe(true);
  const { createBindGroup: _groups, ...others } = made;
  expect(others).toEqual({});
  model.engine.destroy();
});

it('creates nothing at all, bind groups included, for patterns it has seen', async () => {
  const model = await counted({ numLayers: 2 });
  const run = async (): Promise<Record<string, number>> => {
    const made: Record<string, number> = {};
    for (let seed = 1; seed <= 30; seed++) {
      await model.step(randomDrop(model.units, seed));
      for (const [name, n] of Object.entries(model.counts.created)) made[name] = (made[name] ?? 0) + n;
    }
    return made;
  };
  expect(Object.keys(await run())).toEqual(['createBindGroup']);
  expect(await run()).toEqual({});
  model.engine.destroy();
});

it('24 layers have exactly the pipelines of 2', async () => {
  const pipelines: number[] = [];
  for (const numLayers of [2, 24]) {
    const { counts, engine } = await counted({ numLayers });
    pipelines.push(counts.created['createComputePipelineAsync'] ?? 0);
    engine.destroy();
  }
  expect(pipelines[0]).toBeGreaterThan(10);
  expect(pipelines[1]).toBe(pipelines[0]);
});
