/** @file Units without a forward, and scaled ones: loss and gradients are those of a model without them, or with scaled weights, bit for bit. */

import { compileModel } from '../../src/compile/compile.ts';
import { createEngine, type Engine, type MicroBatch } from '../../src/runtime/execute.ts';
import { initialValues } from '../../src/train/init.ts';
import { microBatch } from '../../src/train/loop.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { tinyModel } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

/** Layer `n` of the smaller model is layer `layers[n]` of the whole one; parameters are drawn by the whole model's names. */
async function engineOf(numLayers: number, lora: boolean, layers: readonly number[]): Promise<{ engine: Engine; own: (name: string) => string }> {
  const traced = tinyModel({ numLayers, lora });
  const { program } = compileModel(traced, { device: { traits: opened.traits, maxBuffers: 8 }, optimizers: ['sgd'] });
  const engine = await createEngine(opened.device, program, {
    micros: 1,
    decays: () => true,
    optimizer: 'none',
    forms: ['full', 'dropped', 'skipped', 'remat'],
  });
  const own = (name: string): string => name.replace(/layers\.(\d+)/, (_, n) => `layers.${layers[Number(n)]}`);
  traced.params.forEach((p, i) => {
    const size = p.shape.reduce((a, b) => a * b, 1);
    engine.writeParam(i, p.table ? p.table() : initialValues({ kind: 'normal', std: 0.2 }, size, own(p.name), 1));
  });
  return { engine, own };
}

const batch = tokenBatch(
  [2, 9],
  Int32Array.from({ length: 18 }, (_, i) => (i * 11) % 37),
);
const scalar: MicroBatch['scalar'] = (name) => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0);

async function gradients(
  { engine, own }: Awaited<ReturnType<typeof engineOf>>,
  pattern: MicroBatch['pattern'],
  scalars: MicroBatch['scalar'] = scalar,
): Promise<{ loss: number; all: Map<string, Float32Array> }> {
  const result = engine.step([{ ...microBatch(batch, [], scalars), pattern }], null);
  const { losses } = await result.read();
  const all = new Map<string, Float32Array>();
  for (const i of result.variants[0]!.touched) all.set(own(engine.program.params[i]!.name), await engine.readParam(i, 'gradients'));
  return { loss: losses[0]!, all };
}

it.each([false, true])(
  'LoRA %p: skipping the first, a middle or the last layer is a model without it',
  async (lora) => {
    const whole = await engineOf(4, lora, [0, 1, 2, 3]);
    for (const layers of [
      [1, 3],
      [0, 3],
      [0, 1],
    ]) {
      const smaller = await engineOf(2, lora, layers);
      const without = [0, 1, 2, 3].filter((l) => !layers.includes(l)).flatMap((l) => [`layers.${l}.attn`, `layers.${l}.mlp`]);
      const skip = new Map(without.map((u) => [u, 'skipped' as const]));
      // the same forms of what is left, in either model
      for (const [a, b] of [
        [skip, new Map()],
        [
          new Map([...skip, [`layers.${layers[0]}.mlp`, 'dropped'], [`layers.${layers[1]}.attn`, 'remat']] as const),
          new Map([
            ['layers.0.mlp', 'dropped'],
            ['layers.1.attn', 'remat'],
          ] as const),
        ],
      ] as const) {
        const [found, wanted] = [await gradients(whole, a), await gradients(smaller, b)];
        expect(found.loss).toBe(wanted.loss);
        expect([...found.all.keys()].sort()).toEqual([...wanted.all.keys()].sort());
        expect(found.all.size).toBeGreaterThan(8);
        for (const [name, g] of wanted.all) expect({ name, equal: g.every((x, i) => Object.is(x, found.all.get(name)![i])) }).toEqual({ name, equal: true });
      }
      smaller.engine.destroy();
    }
    const [one, other] = [await gradients(whole, new Map()), await gradients(whole, new Map([['layers.1.mlp', 'skipped']]))];
    expect(one.loss).not.toBe(other.loss);
    whole.engine.destroy();
  },
  300_000,
);

it("a branch scaled by 2 is a branch whose last layer's weights are twice as large", async () => {
  const traced = tinyModel({ numLayers: 2, scaledBranches: true });
  const { program } = compileModel(traced, { device: { traits: opened.traits, maxBuffers: 8 }, optimizers: ['sgd'] });
  const engine = await createEngine(opened.device, program, { micros: 1, decays: () => true, optimizer: 'none' });
  const LAST = /layers\.0\.(self_attn\.o_proj|mlp\.down_proj)/;
  const run = async (scale: number, weights: number): Promise<Awaited<ReturnType<typeof gradients>>> => {
    traced.params.forEach((p, i) => {
      const size = p.shape.reduce((a, b) => a * b, 1);
      const values = p.table ? p.table() : initialValues({ kind: 'normal', std: 0.2 }, size, p.name, 1);
      engine.writeParam(i, LAST.test(p.name) ? values.map((x) => weights * x) : values);
    });
    const scaled: MicroBatch['scalar'] = (name, site) => (name === 'branch_scale' ? (site.startsWith('layers.0') ? scale : 1) : scalar(name, site));
    return gradients({ engine, own: (name) => name }, new Map(), scaled);
  };
  const [found, wanted, plain] = [await run(2, 1), await run(1, 2), await run(1, 1)];
  expect(found.loss).toBe(wanted.loss);
  expect(found.loss).not.toBe(plain.loss);
  // a power of two rounds nothing: the gradient of what is scaled is twice the other's
  for (const [name, g] of wanted.all)
    expect({ name, equal: g.every((x, i) => found.all.get(name)![i] === (LAST.test(name) ? 2 : 1) * x) }).toEqual({ name, equal: true });
  engine.destroy();
});
