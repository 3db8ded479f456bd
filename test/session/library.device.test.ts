/** @file The library: what a program fine-tunes, loads and saves; how it is told, and how it ends early. */

import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadAdapter } from '../../src/run/adapter.ts';
import type { Progress } from '../../src/run/progress.ts';
import { type FinetuneOptions, finetune } from '../../src/session/finetune.ts';
import { inspect } from '../../src/session/inspect.ts';
import { compile, plan } from '../../src/session/library.ts';
import { loadModel } from '../../src/session/loadModel.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';
import { ROOT } from '../support/cli.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

const model = join(ROOT, 'examples/tiny-llama/model');
const data = join(ROOT, 'examples/demo/questions.jsonl');
let device: TestDevice;
let folder: string;
beforeAll(async () => {
  device = await openTestDevice();
  folder = mkdtempSync(join(tmpdir(), 'ebb-library-'));
});
afterAll(() => {
  device.device.destroy();
  rmSync(folder, { recursive: true });
});

const options = (more: Partial<FinetuneOptions> = {}): FinetuneOptions => ({
  model,
  data,
  device: { ...device, why: 'the test' },
  out: join(folder, 'run'),
  lora: { rank: 4 },
  optimizer: { lr: 3e-3 },
  steps: 4,
  batch: 2,
  length: 64,
  saveEvery: 2,
  tune: 'off',
  ...more,
});

it('fine-tunes, is told of every step, and its adapter is found by the run, a checkpoint and its own folder', async () => {
  const losses: number[] = [];
  const told: Progress['kind'][] = [];
  const report = await finetune(options({ drop: 0.5, onStep: ({ step, loss }) => (losses[step] = loss), onProgress: ({ kind }) => void told.push(kind) }));
  expect(Object.keys(losses)).toEqual(['1', '2', '3', '4']);
  expect(report).toMatchObject({ steps: 4, interrupted: false, loss: losses[4], result: `${join(folder, 'run')}/adapter` });
  expect(told.filter((kind) => kind === 'step')).toHaveLength(4);
  expect(told).toContain('note');

  const [whole, own] = [loadAdapter(report.out), loadAdapter(report.result!)];
  expect(whole.file).toBe(own.file);
  const checkpoint = loadAdapter(join(report.out, 'checkpoints/step-00000004'));
  expect(checkpoint.settings).toEqual(own.settings);
  expect([...checkpoint.weights.keys()].sort()).toEqual([...own.weights.keys()].sort());
  for (const [name, read] of own.weights) expect(checkpoint.weights.get(name)!()).toEqual(read());

  // Before its end a run stands for its newest checkpoint.
  const unfinished = join(folder, 'unfinished');
  cpSync(report.out, unfinished, { recursive: true });
  rmSync(join(unfinished, 'adapter'), { recursive: true });
  expect(loadAdapter(unfinished).path).toBe(join(unfinished, 'checkpoints/step-00000004'));

  const loaded = await loadModel(model, { device: { ...device, why: 'the test' }, adapter: report.out });
  const plain = await loadModel(model, { device: { ...device, why: 'the test' } });
  const [tuned, before] = [await loaded.evaluate(data, { limit: 8, length: 64 }), await plain.evaluate(data, { limit: 8, length: 64 })];
  expect(tuned.loss).toBeLessThan(before.loss);

  const pieces: string[] = [];
  for await (const piece of loaded.generate('Tom has', { maxNewTokens: 12 })) pieces.push(piece);
  expect(pieces.length).toBeGreaterThan(1);
  expect(await loaded.generate('Tom has', { maxNewTokens: 12 }).text()).toBe(pieces.join(''));

  const copy = join(folder, 'copy');
  await loaded.save(copy);
  expect(readdirSync(copy).sort()).toEqual(readdirSync(report.result!).sort());
  expect(readFileSync(join(copy, 'adapter_model.safetensors'))).toEqual(readFileSync(own.file));
  expect(await rejectionOf(loaded.save(copy))).toMatch(/is there already; give a new folder/);
  loaded.close();
  plain.close();
});

it('an abort ends a run after its step, with a checkpoint; before the first step it rejects with the reason', async () => {
  const stop = new AbortController();
  const out = join(folder, 'aborted');
  const report = await finetune(options({ out, steps: 9, saveEvery: 0, signal: stop.signal, onStep: () => stop.abort(new Error('enough')) }));
  expect(report).toMatchObject({ interrupted: true, result: null });
  expect(report.steps).toBeLessThan(9);
  expect(existsSync(join(out, 'checkpoints', `step-${String(report.steps).padStart(8, '0')}`))).toBe(true);
  await expect(finetune(options({ out: join(folder, 'never'), signal: stop.signal }))).rejects.toThrow('enough');
  expect(existsSync(join(folder, 'never'))).toBe(false);
  const resumed = await finetune(options({ out, steps: 9, saveEvery: 0, resume: true }));
  expect(resumed).toMatchObject({ steps: 9, interrupted: false });
});

it('an answer ends at its signal, and a prompt that does not fit is refused', async () => {
  const loaded = await loadModel(model, { device: { ...device, why: 'the test' }, contextLength: 24 });
  const stop = new AbortController();
  const seen: string[] = [];
  const answer = (async () => {
    for await (const piece of loaded.generate('Tom has', { maxNewTokens: 16, signal: stop.signal })) {
      seen.push(piece);
      stop.abort(new Error('enough'));
    }
  })();
  await expect(answer).rejects.toThrow('enough');
  expect(seen.length).toBeGreaterThan(0);
  await expect(loaded.generate('Tom has '.repeat(40)).text()).rejects.toThrow(/the context holds 24; shorten the prompt or ask for fewer tokens/);
  loaded.close();
});

it('other work ends at its signal, and nothing is written', async () => {
  const stopped = AbortSignal.abort(new Error('enough'));
  const out = join(folder, 'package');
  await expect(compile(model, { out, device: 'portable', signal: stopped })).rejects.toThrow('enough');
  expect(existsSync(out)).toBe(false);
  await expect(plan(options({ signal: stopped }))).rejects.toThrow('enough');
  await expect(inspect(model, { device: { ...device, why: 'the test' }, signal: stopped })).rejects.toThrow('enough');
});

it('errors have a code, and name what is wrong', async () => {
  const wrong = finetune({ ...options(), warmup: 3 } as FinetuneOptions);
  await expect(wrong).rejects.toMatchObject({ code: 'config', message: expect.stringMatching(/^finetune\(\): unknown key warmup/) });
  await expect(loadModel(join(folder, 'none'))).rejects.toMatchObject({ name: 'EbbError' });
});

it('plans and inspects without training', async () => {
  const { memory } = await plan(options({ out: join(folder, 'planned') }));
  expect(memory.total).toBeGreaterThan(0);
  const { text } = await inspect(model, { device: { ...device, why: 'the test' }, stage: 'trace', lora: true, length: 16, batch: 1 });
  expect(text).toContain('lora_A');
});
