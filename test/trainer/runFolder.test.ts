/** @file Going on with a run: torn metrics, another config, no checkpoint, broken checkpoints. */

import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { checkpointNames } from '../../src/run/checkpointNames.ts';
import { checkpointBytes, removeOldest, writeCheckpoint } from '../../src/run/checkpoints.ts';
import { type Identity, storedIdentity } from '../../src/run/identity.ts';
import type { GoingOn } from '../../src/run/openRun.ts';
import { openRecord } from '../../src/run/record.ts';
import { checkRunFolder, openRunFolder, type RunFolder } from '../../src/run/runFolder.ts';
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

const IDENTITY: Identity = { run: 'this', ebb: '0', parts: { data: { sha256: 'd' } } };

/** What was said of a folder. */
let said: string[];
beforeEach(() => {
  said = [];
});
const open = (resumes: boolean, changed = config()): RunFolder => openRunFolder(out, resumes, changed, (text) => said.push(text));
const save = (step: number, run = 'this'): Promise<string> =>
  writeCheckpoint(out, { engine: fakeEngine(), state: { step, updates: [step] }, run, result: async () => {} });

/** A run of three steps with a checkpoint after the second, and after the first where that is asked for. */
async function started(first = false): Promise<void> {
  open(false).begin({ ...config(), steps: 9, lossOver: 'tokens' }, IDENTITY);
  for (const step of [1, 2, 3]) {
    record(line(step));
    if (step === 2 || (first && step === 1)) await save(step);
  }
}
const checkpoint = (file: string): string => join(out, 'checkpoints', 'step-00000002', file);

it('goes on from the checkpoint; lines behind it and a torn last line are cut off', async () => {
  await started();
  appendFileSync(metrics, '{"step":3,"loss":0.1,"lo');
  const written = {};
  const folder = open(true, config({ steps: 20, evalEvery: 3, evalLimit: 2, saveEvery: 1, device: 'gpu' }));
  expect(await folder.resume(fakeEngine(written))).toEqual({ step: 2, updates: [2] });
  expect(written).toEqual({ a: 1, b: 1, 'm.a': 2, 'm.b': 2, 'v.a': 2, 'v.b': 2 });
  folder.begin(config(), IDENTITY);
  record(line(3));
  expect(steps()).toEqual([1, 2, 3]);
});

it('counts the steps of an earlier version from 1, which counted them from 0', async () => {
  await started();
  writeFileSync(metrics, [0, 1, 2].map((step) => `${JSON.stringify(line(step))}\n`).join(''));
  await open(true).resume(fakeEngine());
  expect(steps()).toEqual([1, 2]);
});

it.each<[Partial<RunInput>, string]>([
  [{ optimizer: { name: 'sgd' } }, 'optimizer is {"name":"sgd"'],
  [{ optimizer: { name: 'adamw', lr: 1 } }, 'optimizer is {"name":"adamw","lr":1'],
  [{ seed: 3 }, 'seed is 3, the run to resume was started with 0'],
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
  const refused = messageOf(() => open(true, config(change)));
  expect(refused).toContain(message);
  // what people edit is not what the run was started with
  expect(refused).toContain('identity.json');
  expect(readFileSync(join(out, 'config.yaml'), 'utf8')).toBe(before);
  expect(steps()).toEqual([1, 2, 3]);
});

it('compares what data and model hold where the folder says it, and their paths where an earlier version did not', async () => {
  await started();
  expect(() => open(true, config({ data: 'e', model: 'n' }))).not.toThrow();
  rmSync(join(out, 'identity.json'));
  expect(messageOf(() => open(true, config({ data: 'e' })))).toContain('data is "e", the run to resume was started with "d"');
  expect(messageOf(() => open(true, config({ model: 'n' })))).toContain('model is "n"');
});

it('goes on with a run that began before precision was a choice', async () => {
  await started();
  rmSync(join(out, 'identity.json'));
  const file = join(out, 'config.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('matmulPrecision: f32\n', ''));
  expect(readFileSync(file, 'utf8')).not.toContain('matmulPrecision');
  expect(() => open(true)).not.toThrow();
});

it('starts over where there is no checkpoint, with other settings too', async () => {
  await started();
  rmSync(join(out, 'checkpoints'), { recursive: true });
  const folder = open(true, config({ seed: 5 }));
  expect(await folder.resume(fakeEngine())).toBeNull();
  folder.begin(config({ seed: 5 }), IDENTITY);
  expect(existsSync(metrics)).toBe(false);
  expect(readFileSync(join(out, 'config.yaml'), 'utf8')).toContain('seed: 5');
  record(line(1));
  expect(steps()).toEqual([1]);
});

it('refuses a folder that holds a run, and makes nothing before it begins', async () => {
  open(false);
  expect(existsSync(out)).toBe(false);
  await started();
  const refused = (going: GoingOn): string => messageOf(() => checkRunFolder({ ...config(), out }, going));
  expect(refused({})).toContain('holds a run already');
  expect(() => checkRunFolder({ ...config(), out }, { resume: true, accept: ['data'], extend: true })).not.toThrow();
  expect(refused({ accept: ['data'] })).toContain('accept is for a run that goes on; give resume too');
  expect(refused({ extend: true })).toContain('extend is for a run that goes on');
  expect(refused({ resume: true, accept: ['date'] })).toContain('found "date", expected some of model, data');
});

it.each<[string, (file: string) => void]>([
  ['cut off', (file) => truncateSync(file, 40)],
  ['half of zeros', (file) => writeFileSync(file, readFileSync(file).fill(0, 200))],
  ['gone', (file) => rmSync(file)],
])('goes on from the checkpoint before one whose tensors are %s, says so, and sets that one aside', async (_, breakIt) => {
  await started(true);
  breakIt(checkpoint('training.safetensors'));
  const folder = open(true);
  expect(await folder.resume(fakeEngine())).toEqual({ step: 1, updates: [1] });
  expect(said.join()).toMatch(/step-00000002.*going on from step-00000001/);
  folder.begin(config(), IDENTITY);
  expect(readdirSync(join(out, 'checkpoints')).sort()).toEqual(['step-00000001', 'step-00000002.broken']);
  expect(steps()).toEqual([1]);
});

it('says what its metrics lack, and refuses a checkpoint under the name of another step', async () => {
  await started();
  rmSync(metrics);
  await open(true).resume(fakeEngine());
  expect(said.join()).toContain('lacks 2 of the 2 steps that are done');
  writeFileSync(checkpoint('state.json'), readFileSync(checkpoint('state.json'), 'utf8').replace('"step":2', '"step":1'));
  expect(await rejectionOf(open(true).resume(fakeEngine()))).toContain("step is 1, expected that of its folder's name");
});

it('goes on by what it was started with, and not by a config that was edited', async () => {
  await started();
  const file = join(out, 'config.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('seed: 0', 'seed: 5'));
  expect(messageOf(() => open(true, config({ seed: 5 })))).toContain('seed is 5, the run to resume was started with 0');
  rmSync(file);
  open(true, config({ lossOver: 'tokens' }));
  expect(said.join()).toContain('config.yaml: is missing');
});

it('is written anew where it was moved away', async () => {
  const folder = open(false);
  folder.begin({ ...config(), lossOver: 'tokens' }, IDENTITY, { 'summary.json': '{}' });
  expect(folder.restore()).toBe(false);
  renameSync(out, `${out}-moved`);
  expect(folder.restore()).toBe(true);
  expect(readdirSync(out).sort()).toEqual(['config.yaml', 'identity.json', 'summary.json']);
});

it('lies in no folder that another run writes', async () => {
  await started();
  const refused = (inside: string): string => messageOf(() => checkRunFolder({ ...config(), out: join(out, inside) }, {}));
  expect(refused('result')).toContain('which the run in');
  expect(refused('checkpoints/step-00000002/mine')).toContain('lies in');
  expect(() => checkRunFolder({ ...config(), out: join(out, 'mine') }, {})).not.toThrow();
});

it('takes and removes no checkpoint of another run', async () => {
  await started();
  for (const step of [7, 8, 9]) await save(step, 'other');
  const folder = open(true);
  expect(await folder.resume(fakeEngine())).toEqual({ step: 2, updates: [2] });
  expect(said.join()).toContain('3 of its checkpoints are of another run');
  folder.begin({ ...config(), lossOver: 'tokens' }, IDENTITY);
  removeOldest(out, 'this', 1);
  expect(checkpointNames(out)).toEqual(['step-00000002', 'step-00000007', 'step-00000008', 'step-00000009']);
  rmSync(checkpoint('.'), { recursive: true });
  expect(await rejectionOf(open(true).resume(fakeEngine()))).toContain('checkpoints of another run alone');
});

it('holds its identity, and a whole checkpoint is as large as it was to be', async () => {
  await started();
  expect(storedIdentity(out)).toMatchObject({ ...IDENTITY, settings: { seed: 0, lora: { rank: 4 } } });
  expect(readFileSync(checkpoint('training.safetensors')).length).toBeGreaterThan(checkpointBytes(fakeEngine()));
  expect(checkpointBytes(fakeEngine())).toBe(3 * 6 * 4);
});

const fill = (shape: readonly number[]): Float32Array => new Float32Array(shape.reduce((a, b) => a * b, 1));
const tensors = (change: Record<string, readonly number[] | null>) =>
  Object.entries({ a: [2, 1], b: [2, 2], 'm.a': [2, 1], 'm.b': [2, 2], 'v.a': [2, 1], 'v.b': [2, 2], ...change }).flatMap(([name, shape]) =>
    shape === null ? [] : [{ name, dtype: 'F32' as const, shape, data: fill(shape) }],
  );

/** A checkpoint as earlier versions wrote it, without a hash. */
const unhashed = (change: Record<string, readonly number[] | null>): void => {
  writeFileSync(checkpoint('state.json'), '{"step":2,"updates":[2]}');
  writeSafetensors(checkpoint('training.safetensors'), tensors(change));
};

it.each<[string, () => void, string]>([
  ['a state that is no JSON', () => writeFileSync(checkpoint('state.json'), '{"step":'), 'is not valid JSON'],
  ['a negative step', () => writeFileSync(checkpoint('state.json'), '{"step":-1,"updates":[1]}'), 'step: '],
  ['updates of other groups', () => writeFileSync(checkpoint('state.json'), '{"step":2,"updates":[1,2]}'), 'updates has 2 numbers, expected 1'],
  ['updates that are no counts', () => writeFileSync(checkpoint('state.json'), '{"step":1,"updates":[0.5]}'), 'updates.0: '],
  ['a missing parameter', () => unhashed({ b: null }), 'has no tensor b;'],
  ['a missing moment', () => unhashed({ 'v.a': null }), 'has no tensor v.a;'],
  ['a moment of another shape', () => unhashed({ 'm.b': [4, 2] }), 'tensor m.b has shape [4, 2], expected [2, 2]'],
])('refuses a checkpoint with %s by file and field, and loads nothing of it', async (_, breakIt, message) => {
  await started();
  breakIt();
  const written = {};
  const refused = await rejectionOf(open(true).resume(fakeEngine(written)));
  expect(refused).toContain(message);
  expect(refused).toContain(readdirSync(join(out, 'checkpoints'))[0]);
  expect(written).toEqual({});
  expect(steps()).toEqual([1, 2, 3]);
});
