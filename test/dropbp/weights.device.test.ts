/** @file Unbiased gradients: the expectation over all patterns is the full gradient with weights, and is not without them. */

import { compileModel } from '../../src/compile/compile.ts';
import { createDropPlan } from '../../src/dropbp/plans/index.ts';
import { createEngine, type Engine } from '../../src/runtime/execute.ts';
import { initialValues } from '../../src/train/init.ts';
import { microBatch, planModel } from '../../src/train/loop.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { tinyModel } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const batch = tokenBatch(
  [2, 9],
  Int32Array.from({ length: 18 }, (_, i) => (i * 11) % 37),
);

async function gradient(engine: Engine, dropped: readonly string[], weights: ReadonlyMap<string, number>): Promise<Map<string, Float32Array>> {
  const scalar = (name: string, site: string): number => (name === 'branch_weight' ? (weights.get(site) ?? 1) : name === 'loss_scale' ? 1 : 0);
  const result = engine.step([microBatch(batch, dropped, scalar)], null);
  await result.read();
  const all = new Map<string, Float32Array>();
  for (const i of result.variants[0]!.touched) all.set(engine.program.params[i]!.name, await engine.readParam(i, 'gradients'));
  return all;
}

/** The largest difference, relative to the parameter's largest gradient. */
function worst(expected: Map<string, Float64Array>, full: Map<string, Float32Array>): number {
  return Math.max(
    ...[...full].map(([name, g]) => {
      const most = g.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
      return g.reduce((m, x, i) => Math.max(m, Math.abs(x - expected.get(name)![i]!)), 0) / most;
    }),
  );
}

it.each([
  ['llama', {}],
  ['llama, LoRA', { lora: true }],
] as const)(
  '%s: with weights 1/(1−rate) the expected gradient is the full one to f32, without it is far from it',
  async (_name, options) => {
    const traced = tinyModel({ numLayers: 2, ...options });
    const { program } = compileModel(traced, { device: { traits: opened.traits, maxBuffers: 8 }, optimizers: ['sgd'] });
    const engine = await createEngine(opened.device, program, { micros: 1, decays: () => true, optimizer: 'none' });
    traced.params.forEach((p, i) => {
      const size = p.shape.reduce((a, b) => a * b, 1);
      engine.writeParam(i, p.table ? p.table() : initialValues({ kind: 'normal', std: 0.3 }, size, p.name, 1));
    });
    const { units } = traced;
    const model = planModel(engine, 1);
    // unequal rates, by sensitivity
    const plan = createDropPlan(
      { kind: 'dropbp', rate: 0.5, after: 0, allocation: 'optimal', sensitivities: Object.fromEntries(units.map((u, i) => [u, 1 + i])), weights: true },
      model,
    );
    const weights = plan.draw({ seed: 0, step: 0, micro: 0, microBatches: 1 }).weights!;
    const rates = units.map((u) => 1 - 1 / weights.get(u)!);
    expect(new Set(rates.map((r) => r.toFixed(3))).size).toBeGreaterThan(2);
    const full = await gradient(engine, [], new Map());
    const zeros = (): Map<string, Float64Array> => new Map([...full].map(([name, g]) => [name, new Float64Array(g.length)]));
    const [weighted, plain] = [zeros(), zeros()];
    for (let bits = 0; bits < 2 ** units.length; bits++) {
      const dropped = units.filter((_, i) => (bits >> i) & 1);
      const probability = rates.reduce((p, rate, i) => p * ((bits >> i) & 1 ? rate : 1 - rate), 1);
      for (const [sum, w] of [
        [weighted, weights],
        [plain, new Map<string, number>()],
      ] as const)
        for (const [name, g] of await gradient(engine, dropped, w)) g.forEach((x, i) => (sum.get(name)![i]! += probability * x));
    }
    expect(worst(weighted, full)).toBeLessThan(5e-6);
    expect(worst(plain, full)).toBeGreaterThan(0.3);
    engine.destroy();
  },
  300_000,
);
