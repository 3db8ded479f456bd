/** @file Tensors larger than a binding: bound in parts they give the numbers that they give whole. So do products whose k workgroups share. */

import type { ChooseSchedule } from '../../src/codegen/kernel/lower/choice.ts';
import { isMatmulSchedule } from '../../src/codegen/kernel/matmul/schedule.ts';
import { scheduleText } from '../../src/codegen/kernel/schedules.ts';
import { compileModel } from '../../src/compile/compile.ts';
import { createEngine, type Engine, type Update } from '../../src/runtime/execute.ts';
import { microBatch } from '../../src/train/loop.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { type TinyOptions, tinyModel } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const ones = (name: string): number => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0);
const SCALARS: Record<string, number> = { lr: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.1 };
const UPDATE: Update = { optimizer: 'adamw', maxNorm: 1, scalar: (name) => SCALARS[name] ?? 0, alsoUntouched: false };

function noise(count: number, seed: number): Float32Array {
  const data = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[i] = state / 2 ** 33;
  }
  return data;
}

interface Ran {
  readonly engine: Engine;
  readonly losses: readonly number[];
  readonly parts: number;
}

async function run(
  options: TinyOptions,
  maxBinding: number,
  ids: (i: number) => number,
  edit: (name: string, data: Float32Array) => void = () => {},
  choose?: ChooseSchedule,
): Promise<Ran> {
  const traced = tinyModel(options);
  const device = { traits: opened.traits, maxBuffers: opened.device.profile.limits.maxStorageBuffersPerShaderStage, maxBinding, choose };
  const { program } = compileModel(traced, { device, optimizers: ['adamw'] });
  const engine = await createEngine(opened.device, program, { micros: 1, decays: (i) => traced.params[i]!.shape.length > 1, optimizer: 'adamw' });
  traced.params.forEach((p, i) => {
    if (p.table) return engine.writeParam(i, p.table());
    const data = noise(
      p.shape.reduce((a, b) => a * b, 1),
      p.name.length,
    );
    edit(p.name, data);
    engine.writeParam(i, data);
  });
  const T = 5;
  const tokens = Int32Array.from({ length: 2 * T }, (_, i) => ids(i * 3));
  const targets = Int32Array.from({ length: 2 * T }, (_, i) => ids(i * 3 + 3));
  const losses: number[] = [];
  for (let step = 0; step < 2; step++) {
    const batch = tokenBatch([2, T], tokens, targets);
    losses.push((await engine.step([microBatch(batch, [], ones)], UPDATE).read()).losses[0]!);
  }
  return { engine, losses, parts: Math.max(...program.functions.flatMap((f) => f.dispatches.flatMap((d) => (d.parts ?? []).map((p) => p + 1))), 1) };
}

it.each([
  ['llama', { hiddenSize: 12 }],
  ['gpt2', { kind: 'gpt2' }],
] as const)(
  'two AdamW steps of a %s whose tensors are bound in parts, and with partial sums in scratch',
  async (_name, options) => {
    const ids = (i: number): number => (i * 5) % 37;
    const whole = await run(options, 2 ** 30, ids);
    const split = await run(options, 2048, ids);
    let shared = 0;
    const share: ChooseSchedule = ({ standard, choice }) => {
      const { schedule } = standard;
      if (!isMatmulSchedule(schedule)) return standard;
      const halves = choice({ ...schedule, ...(schedule.kind === 'register' ? { kFirst: false } : {}), kGroups: 2 });
      if (halves === null) throw new Error(`${scheduleText(schedule)} cannot share k between workgroups`);
      shared++;
      return halves;
    };
    const partial = await run(options, 2048, ids, undefined, share);
    expect(whole.parts).toBe(1);
    expect(split.parts).toBeGreaterThan(1);
    expect(shared).toBeGreaterThan(0);
    for (const { losses } of [split, partial]) losses.forEach((loss, i) => expect(Math.abs(loss - whole.losses[i]!)).toBeLessThan(1e-5));
    for (const [i, p] of whole.engine.program.params.entries()) {
      if (!p.trainable) continue;
      const a = await whole.engine.readParam(i);
      for (const { engine } of [split, partial]) {
        const b = await engine.readParam(i);
        a.forEach((x, k) => expect(Math.abs(x - b[k]!)).toBeLessThan(2e-4));
      }
    }
    for (const { engine } of [whole, split, partial]) engine.destroy();
  },
  300_000,
);

it('an embedding of more than 128 MiB: its last rows learn as its first ones do', async () => {
  const [vocabSize, hiddenSize] = [290_001, 124];
  expect(vocabSize * hiddenSize * 4).toBeGreaterThan(2 ** 27);
  const options = { vocabSize, hiddenSize, numLayers: 1, headDim: 4, intermediateSize: 8, dims: { B: 2, T: 5 } };
  const limit = opened.device.profile.limits.maxStorageBufferBindingSize;
  const last = (i: number): number => vocabSize - 1 - (i % 41);
  const first = await run(options, limit, (i) => i % 41);
  const table = first.engine.program.params.findIndex((p) => p.name === 'model.embed_tokens.weight');
  const learnt = await first.engine.readParam(table);
  first.engine.destroy();
  // the same model with the rows of the first ids and those of the last ones exchanged
  const moved = await run(options, limit, last, (name, data) => {
    if (name !== 'model.embed_tokens.weight') return;
    for (let i = 0; i < 41; i++) {
      const [a, b] = [i * hiddenSize, last(i) * hiddenSize];
      const row = data.slice(a, a + hiddenSize);
      data.copyWithin(a, b, b + hiddenSize);
      data.set(row, b);
    }
  });
  moved.losses.forEach((loss, i) => expect(Math.abs(loss - first.losses[i]!)).toBeLessThan(2e-4));
  expect(moved.losses[1]).toBeLessThan(moved.losses[0]!);
  const other = await moved.engine.readParam(table);
  for (const id of [0, 7, 40])
    for (let k = 0; k < hiddenSize; k++) expect(Math.abs(learnt[id * hiddenSize + k]! - other[last(id) * hiddenSize + k]!)).toBeLessThan(1e-3);
  moved.engine.destroy();
});
