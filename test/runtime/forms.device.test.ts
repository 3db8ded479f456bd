/** @file Forms on a device: recomputing instead of saving gives the same bits; what does not fit or goes wrong says so. */

import { compileModel } from '../../src/compile/compile.ts';
import { createEngine, type Engine, type MicroBatch } from '../../src/runtime/execute.ts';
import type { Form } from '../../src/runtime/link/forms.ts';
import { initialValues } from '../../src/train/init.ts';
import { microBatch, newState, train } from '../../src/train/loop.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { type TinyOptions, tinyModel } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

async function engineOf(options: TinyOptions, optimizer: 'adamw' | 'none' = 'none'): Promise<{ engine: Engine; units: readonly string[] }> {
  const traced = tinyModel(options);
  const { program } = compileModel(traced, { device: { traits: opened.traits, maxBuffers: 8 }, optimizers: ['adamw'] });
  const engine = await createEngine(opened.device, program, { micros: 1, decays: () => true, optimizer, forms: ['full', 'dropped', 'remat'] });
  traced.params.forEach((p, i) => {
    const count = p.shape.reduce((a, b) => a * b, 1);
    engine.writeParam(i, p.table ? p.table() : initialValues({ kind: 'normal', std: 0.2 }, count, p.name, 1));
  });
  return { engine, units: traced.units };
}

const ids = Int32Array.from({ length: 18 }, (_, i) => (i * 11) % 37);
const batch = tokenBatch([2, 9], ids);
const scalar: MicroBatch['scalar'] = (name, site) => (name === 'branch_weight' || name === 'loss_scale' ? 1 : name === 'seed' ? site.length * 77 : 0);

it.each([
  ['full', {}],
  ['LoRA with dropout', { lora: { dropout: 0.3 } }],
] as const)(
  '%s: gradients of recomputed units are those of saved ones, bit for bit',
  async (_name, options) => {
    const { engine, units } = await engineOf(options);
    const gradients = async (forms: readonly Form[]): Promise<{ loss: number; all: Map<string, Float32Array> }> => {
      const pattern = new Map(units.map((u, i): [string, Form] => [u, forms[i % forms.length]!]));
      const result = engine.step([{ ...microBatch(batch, [], scalar), pattern }], null);
      const { losses } = await result.read();
      const all = new Map<string, Float32Array>();
      for (const [i, p] of engine.program.params.entries()) if (result.variants[0]!.touched.has(i)) all.set(p.name, await engine.readParam(i, 'gradients'));
      return { loss: losses[0]!, all };
    };
    for (const [saved, again] of [
      [['full'], ['remat']],
      [
        ['full', 'dropped', 'full'],
        ['remat', 'dropped', 'full'],
      ],
    ] as const) {
      const [a, b] = [await gradients(saved), await gradients(again)];
      expect(b.loss).toBe(a.loss);
      expect([...b.all.keys()]).toEqual([...a.all.keys()]);
      expect(a.all.size).toBeGreaterThan(3);
      for (const [name, g] of a.all) expect({ name, equal: g.every((x, i) => Object.is(x, b.all.get(name)![i])) }).toEqual({ name, equal: true });
    }
    engine.destroy();
  },
  300_000,
);

// GPUs allow buffers of a terabyte
it('a batch too large for the device is refused with its bytes and what to change', async () => {
  await expect(engineOf({ dims: { B: 2 ** 28, T: 9 } })).rejects.toThrow(
    /needs a buffer of \d+ bytes, this device allows \d+ \(maxBufferSize\); choose a smaller batch or length/,
  );
});

it('a loss that is not finite ends the run and names the step', async () => {
  const { engine } = await engineOf({}, 'adamw');
  const run = train({
    engine,
    state: newState(engine),
    batches: { at: () => batch },
    config: {
      steps: 50,
      seed: 1,
      accumulate: 1,
      clip: 0,
      missingGrad: 'skip',
      allDropped: 'backward',
      drop: { kind: 'none' },
      schedule: 'constant',
      warmupSteps: 0,
      optimizer: { name: 'adamw', lr: 1e30, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0 },
    },
    onStep: () => {},
  });
  await expect(run).rejects.toThrow(/^step \d+: the loss is .*lower the learning rate/);
  engine.destroy();
});
