/** @file What a run tells from its first moment on: work that begins also ends, counts reach their totals; how long is measured before the first step. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileModel, type FinetuneOptions, finetune, openRun, type Progress, parseConfig, type StepMetrics } from '../../src/index.ts';
import { openData } from '../../src/run/data.ts';
import { prepare } from '../../src/run/prepare.ts';
import { runFlops } from '../../src/session/runTime.ts';
import { compileDeviceOf } from '../../src/session/sessionDevice.ts';
import { openRunModel } from '../../src/session/train.ts';
import { NOTHING_WATCHED, type Watched, watched } from '../../src/terminal/watched.ts';
import { ROOT } from '../support/cli.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

const model = join(ROOT, 'examples/tiny-llama/model');
const data = join(ROOT, 'examples/demo/questions.jsonl');
const [cache, tuning] = [process.env['XDG_CACHE_HOME'], process.env['EBB_TUNE']];
let device: TestDevice;
let folder: string;
beforeAll(async () => {
  device = await openTestDevice();
  folder = mkdtempSync(join(tmpdir(), 'ebb-told-'));
  process.env['XDG_CACHE_HOME'] = join(folder, 'cache');
});
afterAll(() => {
  device.device.destroy();
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  process.env['EBB_TUNE'] = tuning;
});
afterAll(() => {
  if (cache === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = cache;
});

const KEYS = { model, data, batch: 1, length: 24, lora: { rank: 2 }, seed: 3 } as const;
/** A run, and what it tells. */
function listening(out: string, more: Partial<FinetuneOptions> = {}): { readonly told: Progress[]; readonly options: FinetuneOptions } {
  const told: Progress[] = [];
  return { told, options: { ...KEYS, device, out: join(folder, out), ...more, onProgress: (progress) => told.push(progress) } };
}
const sentences = (told: readonly Progress[]): string[] => told.flatMap((one) => (one.kind === 'note' ? [one.text] : []));

it('every part of a run is told: it begins, its counts rise to their totals, it ends before the run does', async () => {
  const { told, options } = listening('whole', {
    steps: 3,
    saveEvery: 2,
    evalData: data,
    evalLimit: 2,
    tune: 'off',
    drop: { kind: 'dropbp', rate: 0.5 },
  });
  await finetune(options);
  const names = new Set(told.flatMap((one) => (one.kind === 'work' || one.kind === 'pieces' ? [one.what] : [])));
  expect([...names]).toEqual(
    expect.arrayContaining([
      `reading ${model}`,
      'tracing the model',
      'hashing questions.jsonl',
      'tokenising questions.jsonl',
      'compiling the model',
      'compiling kernels',
      'loading weights',
      'held-out evaluation',
      "the first step, which waits for the driver's compiling",
      'measuring sensitivities',
      'saving step 2',
      'saving step 3',
    ]),
  );
  const going = told.reduce<Watched>((known, one) => watched(known, one, 0), NOTHING_WATCHED);
  expect(going.works).toEqual([]);
  for (const what of names) {
    const counts = told.flatMap((one) => (one.kind === 'pieces' && one.what === what ? [one] : []));
    const states = told.flatMap((one) => (one.kind === 'work' && one.what === what ? [one.state] : []));
    expect(states.filter((state) => state === 'begun')).toHaveLength(states.length / 2);
    // several evaluations of the same name rise one after the other
    for (const [i, { done, total }] of counts.entries()) {
      const before = counts[i - 1];
      expect(done).toBeLessThanOrEqual(total);
      if (before && before.done < before.total) expect(done).toBeGreaterThanOrEqual(before.done);
    }
    expect(counts.at(-1)?.done).toBe(counts.at(-1)?.total);
  }
  const first = told.findIndex(({ kind }) => kind === 'step');
  expect(told.slice(0, first).at(-1)).toMatchObject({ kind: 'work', state: 'ended' });
});

it('whoever leaves before the first step has ended it', async () => {
  const { told, options } = listening('left', { steps: 3, tune: 'off' });
  const run = await openRun(options);
  const steps = run.steps();
  await steps.next();
  await steps.return();
  run.close();
  const first = told.filter((one) => one.kind === 'work' && one.what.startsWith('the first step'));
  expect(first).toMatchObject([{ state: 'begun' }, { state: 'ended' }]);
});

it('the FLOPs that a run is expected to take are those that its steps count', async () => {
  const { options } = listening('counted', { steps: 5, tune: 'off', accumulate: 2, drop: { kind: 'uniform', rate: 0.5 } });
  await finetune(options);
  const counted = readFileSync(join(folder, 'counted', 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as StepMetrics)
    .reduce((sum, { forwardFlops, backwardFlops }) => sum + forwardFlops + backwardFlops, 0);
  const config = parseConfig({ ...KEYS, accumulate: 2, drop: { kind: 'uniform', rate: 0.5 } }, 'the test');
  const run = await openRunModel(config);
  const { program } = compileModel(run.trace(1, 24), { device: compileDeviceOf(device), optimizers: ['adamw'] });
  const { inputs, vocabSize } = run.source;
  const { source } = await openData(data, run.source.tokenizer, { ...KEYS, inputs, vocabSize, fields: {} }, prepare({}, false)).loaded;
  const expected = runFlops(program, config, { steps: 5, microBatches: 10 }, source);
  expect(expected / counted).toBeCloseTo(1, 2);
  // of longer runs some micro-batches stand for all
  expect(runFlops(program, config, { steps: 500, microBatches: 1000 }, source) / (100 * counted)).toBeCloseTo(1, 0);
});

it('a run that is too short for measuring says so, and measures nothing', async () => {
  delete process.env['EBB_TUNE'];
  const { told, options } = listening('short', { steps: 1 });
  await finetune(options);
  expect(sentences(told)).toContainEqual(
    expect.stringMatching(/^\d+ kernels of this model were never measured on this device, and the run, which takes about \S+ ?s?, is too short/),
  );
  expect(told.some((one) => one.kind === 'pieces' && one.what === 'measuring kernels')).toBe(false);
  expect(readdirSync(join(folder, 'cache', 'ebb'))).not.toContain('schedules');
});

it.each([
  ['auto', 10_000_000, /measuring for at most \S+, 5 % of the (\S+) that the run takes or so; ebb tune measures all$/],
  [7, 2, /measuring for at most 7 s, as tune says; ebb tune measures all$/],
] as const)('tune: %p says how long is measured, and what is left; what was measured when the run is ended is kept', async (tune, steps, words) => {
  delete process.env['EBB_TUNE'];
  const stopping = new AbortController();
  const { told, options } = listening('long', { steps, tune, signal: stopping.signal });
  const listen = options.onProgress;
  const onProgress = (progress: Progress): void => {
    listen?.(progress);
    if (progress.kind === 'pieces' && progress.what === 'measuring kernels' && progress.done === 1) stopping.abort(new Error('enough'));
  };
  await expect(finetune({ ...options, onProgress })).rejects.toThrow('enough');
  expect(sentences(told)).toContainEqual(expect.stringMatching(words));
  const counts = told.flatMap((one) => (one.kind === 'pieces' && one.what === 'measuring kernels' ? [one] : []));
  expect(counts.map(({ done, total }) => done / total)).toEqual([0, 1 / counts[0]!.total, 1]);
  if (tune !== 'auto') expect(counts[0]!.leftMs).toBeLessThanOrEqual(7000);
  const [book] = readdirSync(join(folder, 'cache', 'ebb', 'schedules'));
  const { entries } = JSON.parse(readFileSync(join(folder, 'cache', 'ebb', 'schedules', book!), 'utf8'));
  expect(Object.keys(entries).length).toBeGreaterThan(0);
});
