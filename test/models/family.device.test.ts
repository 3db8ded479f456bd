/** @file A family from outside of the library: one folder, handed to what opens a checkpoint, and nothing else is edited. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FAMILIES, type Model, makeBatch, newState, openCheckpoint, openSession, train, trainingMode, writeSafetensors } from '../../src/index.ts';
import { parseHfConfig } from '../../src/models/checkpoint.ts';
import { initialValues } from '../../src/train/init.ts';
import { messageOf } from '../formats/fixtureFolder.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { toy } from './toy/toy.ts';

const TABLE = [...FAMILIES, toy];
const FIELDS = { model_type: 'toy', words: 23, width: 8, blocks: 2, heads: 2, room: 16 };
const LENGTH = 12;

let folder: string;
let opened: TestDevice;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-family-'));
  opened = await openTestDevice();
});
afterAll(() => {
  opened.device.destroy();
  rmSync(folder, { recursive: true });
});

/** Drawn weights of a model, as a checkpoint has them. */
function writeWeights(path: string, model: Model): void {
  const entries = [...model.tensors()].map(({ name, shape }) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const init = shape.length === 1 ? ({ kind: 'constant', value: 1 } as const) : ({ kind: 'normal', std: 0.2 } as const);
    return { name, shape, dtype: 'F32' as const, data: initialValues(init, count, name, 3) };
  });
  writeSafetensors(join(path, 'model.safetensors'), entries);
}

it('takes one file, which asks nothing of the library but what the package exports', () => {
  const files = readdirSync(join(__dirname, 'toy'));
  expect(files).toHaveLength(1);
  const imports = files.flatMap((file) => [...readFileSync(join(__dirname, 'toy', file), 'utf8').matchAll(/from '(.+)'/g)].map(([, from]) => from));
  expect(imports).toEqual(['../../../src/index.ts']);
});

it('is unknown without it, with every family that is known in the refusal', () => {
  writeFileSync(join(folder, 'config.json'), JSON.stringify(FIELDS));
  const said = messageOf(() => openCheckpoint(folder));
  expect(said).toContain('model_type is "toy", an architecture Ebb does not support');
  for (const { kind } of FAMILIES) expect(said).toContain(kind);
});

it('is found by model_type, or by its class alone, and its fields are read, refused or listed', () => {
  const read = (fields: object) => parseHfConfig('config.json', JSON.stringify(fields), TABLE);
  const { model_type: _, ...rest } = FIELDS;
  expect(read({ ...rest, architectures: ['ToyForCausalLM'] }).config).toEqual(read(FIELDS).config);
  expect(read({ ...FIELDS, colour: 'red', taste: 'sweet', smell: null }).notes).toEqual(['not used: taste']);
  expect(messageOf(() => read({ ...FIELDS, colour: 'blue' }))).toContain('colour is "blue", expected "red"');
  expect(messageOf(() => read({ ...FIELDS, rope_theta: 5 }))).toContain('rope_theta is 5, expected no such field in a toy configuration');
  expect(messageOf(() => read({ ...FIELDS, architectures: ['ToyForCausalLM', 'LlamaModel'] }))).toContain(
    'architectures is "LlamaModel", expected ToyForCausalLM',
  );
});

it('opens its checkpoint, trains, drops its units, and says by name which tensor is missing', async () => {
  const { model } = parseHfConfig('config.json', JSON.stringify(FIELDS), TABLE);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(model.configJson()));
  writeWeights(folder, model);
  expect(openCheckpoint(folder, TABLE).config).toEqual(model.config);
  const session = await openSession(openCheckpoint(folder, TABLE), opened, {
    mode: trainingMode(LENGTH),
    dims: { B: 2, T: LENGTH },
    lora: null,
    trains: 'full',
    micros: 1,
    optimizer: 'adamw',
    decay: 'matrices',
    seed: 0,
  });
  const { engine, traced } = session;
  expect(traced.units).toEqual([0, 1].flatMap((i) => [`blocks.${i}.look`, `blocks.${i}.think`]));
  const ids = Int32Array.from({ length: 2 * LENGTH }, (_, i) => (i * i) % FIELDS.words);
  const batch = makeBatch(2, LENGTH, ids, ids, null, FIELDS.words);
  const losses: number[] = [];
  const dropped = new Set<string>();
  await train({
    engine,
    state: newState(engine),
    batches: { at: () => batch },
    config: {
      steps: 20,
      seed: 1,
      accumulate: 1,
      clip: 1,
      missingGrad: 'skip',
      allDropped: 'backward',
      drop: { kind: 'uniform', rate: 0.5 },
      schedule: 'constant',
      warmupSteps: 0,
      optimizer: { name: 'adamw', lr: 2e-2, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0 },
    },
    onStep: (step) => {
      losses.push(step.loss);
      for (const unit of step.dropped.flat()) dropped.add(unit);
    },
  });
  engine.destroy();
  expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]!);
  expect([...dropped].sort()).toEqual(traced.units);
  const other = { ...FIELDS, blocks: 3 };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(other));
  expect(messageOf(() => openCheckpoint(folder, TABLE))).toMatch(/"toy.blocks.2.norm.weight" is missing, but expected by .*config.json, where blocks is 3/);
});
