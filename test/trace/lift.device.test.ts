/** @file Layers that differ in a constant alone are one function; each call keeps its own value, in forward and in backward. */

import { compileModel } from '../../src/compile/compile.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import { mainOf } from '../../src/ir/module.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { printModule } from '../../src/ir/print.ts';
import { randomTensor, tensor } from '../../src/ir/tensor.ts';
import { verify } from '../../src/ir/verify.ts';
import { createEngine } from '../../src/runtime/execute.ts';
import { param, unit } from '../../src/trace/context.ts';
import { crossEntropy, embedding, linear, matmul, mul, relu } from '../../src/trace/nn.ts';
import { traceModel } from '../../src/trace/trace.ts';
import { microBatch } from '../../src/train/loop.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

const SCALES = [1, 0.5, 0.25, 2];
const model = traceModel(
  {
    inputs: { tokens: { dtype: 'i32', shape: ['B', 'T'] }, targets: { dtype: 'i32', shape: ['B', 'T'] } },
    build: ({ tokens, targets }) => {
      const table = param('table', [11, 6]);
      let x = embedding(table, tokens!);
      SCALES.forEach((scale, i) => {
        x = unit(`layers.${i}.mlp`, x, (y) => mul(relu(linear(`layers.${i}.up`, y, { inputs: 6, outputs: 6 })), scale));
      });
      return crossEntropy(matmul(x, table, true), targets!);
    },
  },
  { dims: { B: 2, T: 3 } },
);

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

it('traces to one function, whose calls carry what differs, and round-trips', () => {
  expect(model.module.funcs.map((f) => f.name)).toEqual(['trunk', 'mlp', 'trunk_1', 'main']);
  const calls = mainOf(model.module).ops.filter((op) => op.attrs['callee'] === 'mlp');
  expect(calls.map((op) => op.attrs['lifted'])).toEqual(SCALES.map((s) => [s]));
  verify(model.module);
  const text = printModule(model.module);
  const back = parseModule(text, 'lifted.ebb');
  verify(back);
  expect(printModule(back)).toBe(text);
});

it('runs with the values of each call', async () => {
  const { program } = compileModel(model, { device: { traits: opened.traits, maxBuffers: 8 } });
  const engine = await createEngine(opened.device, program, { micros: 1, decays: () => true, optimizer: 'none' });
  const values = model.params.map((p, i) => randomTensor('f32', p.shape, i + 1));
  values.forEach((v, i) => void engine.writeParam(i, Float32Array.from(v.data)));
  const tokens = Int32Array.from([1, 5, 9, 3, 3, 0]);
  const targets = Int32Array.from([5, 9, 10, 3, 0, 2]);
  const batch = tokenBatch([2, 3], tokens, targets, tokens);
  const { losses } = await engine.step([microBatch(batch, [], () => 1)], null).read();
  const main = mainOf(model.module);
  const loss = (moved: number, step: number): number =>
    evaluate(
      model.module,
      main,
      main.params.map(({ value, role }) => {
        if (role === 'scalar') return tensor('f32', [], [1]);
        if (role === 'input') return tensor('i32', [2, 3], value.name === 'tokens' ? tokens : targets);
        const index = model.params.findIndex((p) => p.name === value.name);
        return index === moved ? { ...values[index]!, data: values[index]!.data.map((x) => x + step) } : values[index]!;
      }),
      { B: 2, T: 3 },
    )[0]!.data[0]!;
  expect(Math.abs(losses[0]! - loss(-1, 0))).toBeLessThan(1e-5);
  for (const [i] of model.params.entries()) {
    const along = (await engine.readParam(i, 'gradients')).reduce((a, b) => a + b, 0);
    expect(Math.abs(along - (loss(i, 1e-5) - loss(i, -1e-5)) / 2e-5)).toBeLessThan(1e-4);
  }
  engine.destroy();
});
