/** @file Models that come along, whole, on a device beside the evaluator: ranks of adapters that meet other sizes of the model. */

import { compileModel } from '../../src/compile/compile.ts';
import { formModel } from '../../src/compile/forms.ts';
import { randomTensor, type Tensor, tensor } from '../../src/ir/tensor.ts';
import { createEngine } from '../../src/runtime/execute.ts';
import { microBatch } from '../../src/train/loop.ts';
import { variantGradients } from '../support/moduleEvaluator.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { tinyConfig, tinyModel } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const { hiddenSize } = tinyConfig();

it.each([
  ['llama', hiddenSize],
  ['llama', 2 * hiddenSize],
  ['gpt2', hiddenSize],
  ['gpt2', 3 * hiddenSize],
] as const)(
  '%s with adapters of rank %p: gradients are those of the evaluator',
  async (kind, rank) => {
    const model = tinyModel({ kind, lora: { rank } });
    const { program } = compileModel(model, { device: { traits: opened.traits, maxBuffers: 8 } });
    const engine = await createEngine(opened.device, program, { micros: 1, decays: () => true, optimizer: 'none' });
    const values = new Map<string, Tensor>(
      model.params.map((p, i) => [p.name, p.table ? tensor('f32', p.shape, p.table()) : randomTensor('f32', p.shape, i + 3, 0.3)]),
    );
    model.params.forEach((p, i) => void engine.writeParam(i, Float32Array.from(values.get(p.name)!.data)));
    const sizes = { B: 2, T: 9 };
    const ids = Int32Array.from({ length: sizes.B * sizes.T }, (_, i) => (i * 11) % tinyConfig().vocabSize);
    const batch = tokenBatch([sizes.B, sizes.T], ids);
    for (const [name, data] of Object.entries(batch.inputs)) values.set(name, tensor('i32', [sizes.B, sizes.T], data));
    const result = engine.step([microBatch(batch, [model.units[1]!], (name) => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0))], null);
    const { losses } = await result.read();
    const wanted = variantGradients(model, formModel(model), { sizes, values, forms: new Map([[model.units[1]!, 'dropped']]), weight: () => 1 }, 1);
    expect(Math.abs(losses[0]! - wanted.results[0]!.data[0]!)).toBeLessThan(1e-5);
    for (const [i, { name }] of model.params.entries()) {
      const own = wanted.gradients.get(name);
      expect({ name, touched: result.variants[0]!.touched.has(i) }).toEqual({ name, touched: own !== undefined });
      if (!own) continue;
      const found = await engine.readParam(i, 'gradients');
      const most = own.data.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-6);
      const off = own.data.reduce((m, x, k) => Math.max(m, Math.abs(x - found[k]!)), 0) / most;
      expect({ name, close: off < 1e-4, off }).toMatchObject({ close: true });
    }
    engine.destroy();
  },
  300_000,
);
