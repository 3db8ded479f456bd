/** @file Every example that is a model: read, checked, traced, compiled, and trained for a few steps with a loss that falls. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileModel } from '../../src/compile/compile.ts';
import { loadDefinition, traceDefinition } from '../../src/definition/load.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { printModule } from '../../src/ir/print.ts';
import { randomTensor } from '../../src/ir/tensor.ts';
import { dimSize } from '../../src/ir/types.ts';
import { verify } from '../../src/ir/verify.ts';
import { createEngine, type InputData } from '../../src/runtime/execute.ts';
import type { Form } from '../../src/runtime/forms.ts';
import type { TracedModel } from '../../src/trace/trace.ts';
import { initialValues } from '../../src/train/init.ts';
import { type OptimizerConfig, updateScalar } from '../../src/train/optimizer.ts';
import { ROOT } from '../support/cli.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const EXAMPLES = readdirSync(join(ROOT, 'examples')).filter(
  (f) => f.endsWith('.ts') && readFileSync(join(ROOT, 'examples', f), 'utf8').includes('export const model = defineModel('),
);
/** lavapipe takes a second and more for a kernel it has not seen, and these have hundreds: there, the small ones do. */
const TRAINED = process.env['EBB_ADAPTER'] === 'lavapipe' ? ['mlp.ts', 'custom-op.ts'] : EXAMPLES;
/** Ids of an i32 input must lie below these; segments are all one. */
const IDS: Readonly<Record<string, number>> = { tokens: 60, targets: 60, label: 10, segments: 1 };

function inputsOf(model: TracedModel): InputData {
  const main = model.module.funcs.at(-1)!;
  return Object.fromEntries(
    main.params
      .filter((p) => p.role === 'input')
      .map(({ value: { name, type } }, k) => {
        const shape = type.shape.map((d) => dimSize(d, model.module.dims));
        const values = randomTensor('f32', shape, k + 5).data;
        return [
          name,
          type.dtype === 'i32' ? Int32Array.from(values, (v) => (name === 'segments' ? 1 : Math.abs(v) * 1e4) % (IDS[name]! + 1)) : Float32Array.from(values),
        ];
      }),
  );
}

const optimizer: OptimizerConfig = { name: 'adamw', lr: 3e-3, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0 };

it('are the models of examples/', () => {
  expect(EXAMPLES).toEqual(['char-transformer.ts', 'custom-op.ts', 'gpt2.ts', 'llama.ts', 'mlp.ts', 'unet.ts', 'vision-transformer.ts']);
});

it.each(TRAINED)(
  '%s compiles and learns',
  async (file) => {
    const loaded = await loadDefinition(join(ROOT, 'examples', file));
    expect(loaded.exportName).toBe('model');
    const model = traceDefinition(loaded, { dims: {} });
    verify(model.module);
    const text = printModule(model.module);
    expect(printModule(parseModule(text, file))).toBe(text);
    expect(model.units.length).toBeGreaterThan(1);
    const { program } = compileModel(model, { target: { device: opened.traits, maxBuffers: 8 }, optimizers: ['adamw'] });
    const engine = await createEngine(opened.device, program, { micros: 1, decays: () => false, optimizer: 'adamw' });
    model.params.forEach((p, i) => {
      const count = p.shape.reduce((a, b) => a * b, 1);
      engine.writeParam(i, p.table ? p.table() : initialValues(p.init, count, p.name, 1));
    });
    const inputs = inputsOf(model);
    const losses: number[] = [];
    for (let step = 0; step < 6; step++) {
      // every other step leaves out the backward of a unit
      const pattern = new Map<string, Form>(step % 2 === 1 ? [[model.units[step % model.units.length]!, 'dropped']] : []);
      const scalar = (name: string): number => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0);
      const result = engine.step([{ sizes: model.module.dims, inputs, pattern, scalar }], {
        optimizer: 'adamw',
        maxNorm: 0,
        alsoUntouched: false,
        scalar: (name) => updateScalar(optimizer, optimizer.lr, step, name),
      });
      losses.push((await result.read()).losses[0]!);
    }
    expect({ losses, falls: losses.at(-1)! < losses[0]! * 0.999 }).toMatchObject({ falls: true });
    engine.destroy();
  },
  600_000,
);
