/** @file Whole random modules on a device: losses, gradients, accumulation and sensitivities are those of the evaluator. */

import * as fc from 'fast-check';
import { compileModel } from '../../src/compile/compile.ts';
import { formModel } from '../../src/compile/forms.ts';
import { sensitivities } from '../../src/dropbp/sensitivity.ts';
import type { Tensor } from '../../src/ir/tensor.ts';
import { createEngine, type MicroBatch } from '../../src/runtime/execute.ts';
import type { Form } from '../../src/runtime/link/forms.ts';
import { usersOf } from '../../src/runtime/link/probe.ts';
import type { TracedModel } from '../../src/trace/trace.ts';
import { type Setting, variantGradients } from '../support/moduleEvaluator.ts';
import { BOUNDS, modelOf, randomRecipe, randomValues } from '../support/randomModule.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const PLANNED: readonly Form[] = ['full', 'dropped', 'remat'];
const FORMS: readonly Form[] = [...PLANNED, 'full'];
const typed = (t: Tensor): Int32Array | Float32Array => (t.dtype === 'i32' ? Int32Array.from(t.data) : Float32Array.from(t.data));
const most = (values: Iterable<number>): number => Math.max(0, ...Array.from(values, Math.abs));

/** What differs by more than rounding, told by name. */
function expectClose(name: string, found: ArrayLike<number>, wanted: ArrayLike<number>): void {
  const scale = Math.max(1e-2, most(Array.from(wanted)));
  const off = most(Array.from(wanted, (w, i) => w - found[i]!)) / scale;
  if (!(off < 1e-4) || found.length !== wanted.length)
    throw new Error(
      `${name}: off by ${off}; found ${Array.from(found).slice(0, 6)} (${found.length}), wanted ${Array.from(wanted).slice(0, 6)} (${wanted.length})`,
    );
}

async function check(model: TracedModel, forms: readonly number[], seed: number): Promise<void> {
  const { program } = compileModel(model, { device: { traits: opened.traits, maxBuffers: 8 }, optimizers: ['sgd'] });
  // differences are not measured where units share a parameter
  const users = usersOf(program);
  const isShared = [...users.values()].some((calls) => calls.size > 1 && [...calls].some((i) => program.calls[i]!.unit));
  const kind = seed % 2 === 0 || isShared ? 'norms' : 'differences';
  const engine = await createEngine(opened.device, program, { micros: 2, decays: () => true, optimizer: 'none', forms: PLANNED, probes: kind });
  const values = randomValues(model, BOUNDS, seed);
  const isFixed = Object.keys(model.module.dims).length === 0;
  model.params.forEach((p, i) => void engine.writeParam(i, typed(values.get(p.name)!)));
  const formed = formModel(model, { turnsBack: false });
  const settings = [0, 1].map((m): Setting => {
    const sizes = isFixed ? BOUNDS : { B: 1 + ((seed + m) % BOUNDS.B), T: 1 + ((seed + 2 * m) % BOUNDS.T) };
    const inputs = [...randomValues(model, sizes, seed + m)].filter(([name]) => ['tokens', 'targets', 'x'].includes(name));
    return {
      sizes,
      values: new Map([...values, ...inputs]),
      forms: new Map(model.units.map((u, i): [string, Form] => [u, FORMS[forms[(i + 5 * m) % forms.length]!]!])),
      weight: (site) => 1 + ((site.length + seed) % 3) / 2,
    };
  });
  const microOf = ({ sizes, forms: pattern, weight, values: given }: Setting): MicroBatch => ({
    sizes,
    inputs: Object.fromEntries(['tokens', 'targets', 'x'].map((name) => [name, typed(given.get(name)!)])),
    pattern,
    scalar: (name, site) => (name === 'branch_weight' ? weight(site) : name === 'loss_scale' ? 0.5 : 0),
  });
  const wanted = settings.map((s) => variantGradients(model, formed, s, 0.5));

  const result = engine.step(settings.map(microOf), null);
  expectClose(
    'losses',
    (await result.read()).losses,
    wanted.map((w) => w.results[0]!.data[0]!),
  );
  for (const [i, { name, shape }] of model.params.entries()) {
    const own = wanted.flatMap(({ gradients }) => gradients.get(name) ?? []);
    expect({ name, touched: result.variants.some((v) => v.touched.has(i)) }).toEqual({ name, touched: own.length > 0 });
    if (own.length === 0) continue;
    const sum = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, k) => own.reduce((n, t) => n + t.data[k]!, 0));
    expectClose(name, await engine.readParam(i, 'gradients'), sum);
  }

  const [first] = settings as [Setting];
  const whole: Setting = { ...first, forms: new Map(), weight: () => 1 };
  const alone = variantGradients(model, formed, whole, 0.5);
  const results = await engine.forward(microOf(whole));
  alone.results.forEach((t, k) => expectClose(`result ${k}`, results[k]!, t.data));

  const norm = (data: Iterable<number> = []): number => Math.hypot(...data);
  const reference = model.units.map((unit) => {
    const after = variantGradients(model, formed, { ...whole, forms: new Map([[unit, 'dropped']]) }, 0.5).gradients;
    return model.params.reduce((sum, { name }) => {
      const [g, other] = [alone.gradients.get(name)?.data ?? [], after.get(name)?.data];
      const lost = kind === 'norms' ? norm(g) - norm(other) : norm(Array.from(g, (x, k) => x - (other?.[k] ?? 0)));
      return sum + lost ** 2;
    }, 0);
  });
  const found = sensitivities(model.units, await engine.probe(microOf(whole)), kind, { calls: program.calls.map((c) => c.site), users });
  const total = [...alone.gradients.values()].reduce((sum, { data }) => sum + norm(data) ** 2, 0);
  reference.forEach((w, u) => {
    const off = Math.abs(found[u]! - w);
    if (!(off <= 1e-3 * w + 1e-9 * total)) throw new Error(`sensitivity of ${model.units[u]}: found ${found[u]}, wanted ${w}, in all ${total}`);
  });
  engine.destroy();
}

it('are right, over random graphs, forms, branch weights and two micro-batches', async () => {
  await fc.assert(
    fc.asyncProperty(randomRecipe(6), fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }), fc.nat(1000), (recipe, forms, seed) =>
      check(modelOf(recipe), forms, seed),
    ),
    { numRuns: Number(process.env['EBB_RUNS'] ?? 30) },
  );
});
