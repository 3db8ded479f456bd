/** @file Going on with a run: torn metrics, another config, no checkpoint, broken checkpoints. */

import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { openRecord } from '../../src/run/record.ts';
import { openRunFolder } from '../../src/run/runFolder.ts';
import type { Engine } from '../../src/runtime/execute.ts';
import { parseConfig, type RunInput } from '../../src/train/config.ts';
import type { StepMetrics } from '../../src/train/loop.ts';
import { messageOf, rejectionOf } from '../formats/fixtureFolder.ts';

const config = (change: Partial<RunInput> = {}) => parseConfig({ model: 'm', data: 'd', lora: { rank: 4 }, ...change }, 'run.yaml');

/** Two trainable parameters in one group, under AdamW; what is written into it is kept. */
function fakeEngine(written: Record<string, number> = {}): Engine {
  const params = ['a', 'b'].map((name, i) => ({ name, shape: [2, 1 + i], dtype: 'f32', trainable: true }));
  return {
    program: { params },
    storage: { groups: [{}] },
    memory: { params: 1, gradients: 1, m: 1, v: 1 },
    async *readPieces(i: number, kind = 'params') {
      yield new Float32Array(2 * (1 + i)).fill(kind === 'params' ? 1 : 2);
    },
    uploaded: async () => {},
    writeParam: (i: number, data: Float32Array) => void (written[`${params[i]!.name}`] = data[0]!),
    writeMoment: (i: number, kind: string, data: Float32Array) => void (written[`${kind}.${params[i]!.name}`] = data[0]!),
  } as unknown as Engine;
}

const line = (step: number): StepMetrics => ({
  step,
  loss: 1,
  losses: [1],
  lr: 1,
  gradNorm: 1,
  tokens: 1,
  ms: 1,
  dropped: [[]],
  forwardFlops: 1,
  backwardFlops: 1,
  savedBytes: 1,
  peakBytes: 1,
});

/** Adds the line of a step, as a run does that has just been opened. */
const record = (line: StepMetrics): void => openRecord(out, 0, 1, () => {}).step(line);

let out: string;
let metrics: string;
beforeEach(async () => {
  out = join(mkdtempSync(join(tmpdir(), 'ebb-run-')), 'run');
  metrics = join(out, 'metrics.jsonl');
});
afterEach(() => rmSync(join(out, '..'), { recursive: true }));

const steps = (): number[] =>
  readFileSync(metrics, 'utf8')
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => (JSON.parse(text) as StepMetrics).step);

/** A run of three steps with a checkpoint after the second. */
async function started(): Promise<void> {
  const folder = openRunFolder(out, false, config());
  folder.begin({ ...config(), steps: 9 });
  for (const step of [1, 2, 3]) {
    record(line(step));
    if (step === 2) await folder.saveCheckpoint(fakeEngine(), { step: 2, updates: [2] });
  }
}
const checkpoint = (file: string): string => join(out, 'checkpoints', 'step-00000002', file);

it('goes on from the checkpoint; lines behind it and a torn last line are cut off', async () => {
  await started();
  appendFileSync(metrics, '{"step":3,"loss":0.1,"lo');
  const written = {};
  const folder = openRunFolder(out, true, config({ steps: 20, evalEvery: 3, evalLimit: 2, saveEvery: 1, device: 'gpu' }));
  expect(await folder.resume(fakeEngine(written))).toEqual({ step: 2, updates: [2] });
  expect(written).toEqual({ a: 1, b: 1, 'm.a': 2, 'm.b': 2, 'v.a': 2, 'v.b': 2 });
  folder.begin(config());
  record(line(3));
  expect(steps()).toEqual([1, 2, 3]);
});

it('counts the steps of an earlier version from 1, which counted them from 0', async () => {
  await started();
  writeFileSync(metrics, [0, 1, 2].map((step) => `${JSON.stringify(line(step))}\n`).join(''));
  await openRunFolder(out, true, config()).resume(fakeEngine());
  expect(steps()).toEqual([1, 2]);
});

it.each<[Partial<RunInput>, string]>([
  [{ optimizer: { name: 'sgd' } }, 'optimizer is {"name":"sgd"'],
  [{ optimizer: { name: 'adamw', lr: 1 } }, 'optimizer is {"name":"adamw","lr":1'],
  [{ seed: 3 }, 'seed is 3, the run to resume was started with 0'],
  [{ data: 'e' }, 'data is "e", the run to resume was started with "d"'],
  [{ model: 'n' }, 'model is "n"'],
  [{ accumulate: 2 }, 'accumulate is 2'],
  [{ batch: 2 }, 'batch is 2'],
  [{ length: 2 }, 'length is 2'],
  [{ schedule: 'cosine' }, 'schedule is "cosine"'],
  [{ warmupSteps: 1 }, 'warmupSteps is 1'],
  [{ clip: 0 }, 'clip is 0'],
  [{ lora: { rank: 5 } }, 'lora is {"layers":["*"],"rank":5'],
  [{ lora: false }, 'lora is false'],
  [{ drop: { kind: 'uniform', rate: 0.5 } }, 'drop is {"kind":"uniform"'],
  [{ missingGrad: 'zeros' }, 'missingGrad is "zeros"'],
  [{ allDropped: 'skip' }, 'allDropped is "skip"'],
  [{ decay: 'all' }, 'decay is "all"'],
  [{ matmulPrecision: 'f16' }, 'matmulPrecision is "f16", the run to resume was started with "f32"'],
  [{ shuffle: false }, 'shuffle is false'],
  [{ fields: { text: 'body' } }, 'fields is {"text":"body"}'],
])('refuses to go on with %j, and writes nothing', async (change, message) => {
  await started();
  const before = readFileSync(join(out, 'config.yaml'), 'utf8');
  const said = messageOf(() => openRunFolder(out, true, config(change)));
  expect(said).toContain(message);
  expect(said).toContain('config.yaml');
  expect(readFileSync(join(out, 'config.yaml'), 'utf8')).toBe(before);
  expect(steps()).toEqual([1, 2, 3]);
});

it('goes on with a run that began before precision was a choice', async () => {
  await started();
  const file = join(out, 'config.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('matmulPrecision: f32\n', ''));
  expect(readFileSync(file, 'utf8')).not.toContain('matmulPrecision');
  expect(() => openRunFolder(out, true, config())).not.toThrow();
});

it('starts over where there is no checkpoint, with other settings too', async () => {
  await started();
  rmSync(join(out, 'checkpoints'), { recursive: true });
  const folder = openRunFolder(out, true, config({ seed: 5 }));
  expect(await folder.resume(fakeEngine())).toBeNull();
  folder.begin(config({ seed: 5 }));
  expect(existsSync(metrics)).toBe(false);
  expect(readFileSync(join(out, 'config.yaml'), 'utf8')).toContain('seed: 5');
  record(line(1));
  expect(steps()).toEqual([1]);
});

it('refuses a folder that holds a run, and makes nothing before it begins', async () => {
  openRunFolder(out, false, config());
  expect(existsSync(out)).toBe(false);
  await started();
  expect(messageOf(() => openRunFolder(out, false, config()))).toContain('holds a run already');
});

const fill = (shape: readonly number[]): Float32Array => new Float32Array(shape.reduce((a, b) => a * b, 1));
const tensors = (change: Record<string, readonly number[] | null>) =>
  Object.entries({ a: [2, 1], b: [2, 2], 'm.a': [2, 1], 'm.b': [2, 2], 'v.a': [2, 1], 'v.b': [2, 2], ...change }).flatMap(([name, shape]) =>
    shape === null ? [] : [{ name, dtype: 'F32' as const, shape, data: fill(shape) }],
  );

it.each<[string, () => void, string]>([
  ['a state that is no JSON', () => writeFileSync(checkpoint('state.json'), '{"step":'), 'is not valid JSON'],
  ['a negative step', () => writeFileSync(checkpoint('state.json'), '{"step":-1,"updates":[1]}'), 'step: '],
  ['updates of other groups', () => writeFileSync(checkpoint('state.json'), '{"step":1,"updates":[1,2]}'), 'updates: '],
  ['updates that are no counts', () => writeFileSync(checkpoint('state.json'), '{"step":1,"updates":[0.5]}'), 'updates.0: '],
  ['a missing parameter', () => writeSafetensors(checkpoint('training.safetensors'), tensors({ b: null })), 'has no tensor b;'],
  ['a missing moment', () => writeSafetensors(checkpoint('training.safetensors'), tensors({ 'v.a': null })), 'has no tensor v.a;'],
  [
    'a moment of another shape',
    () => writeSafetensors(checkpoint('training.safetensors'), tensors({ 'm.b': [4, 2] })),
    'tensor m.b has shape [4, 2], expected [2, 2]',
  ],
])('refuses a checkpoint with %s by file and field, and loads nothing of it', async (_, breakIt, message) => {
  await started();
  breakIt();
  const written = {};
  const said = await rejectionOf(openRunFolder(out, true, config()).resume(fakeEngine(written)));
  expect(said).toContain(message);
  expect(said).toContain(readdirSync(join(out, 'checkpoints'))[0]);
  expect(written).toEqual({});
  expect(steps()).toEqual([1, 2, 3]);
});
