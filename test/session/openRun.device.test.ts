/** @file A run whose loop is its caller's does what `finetune` does, and is what its last step left where nothing runs ahead. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  finetune,
  type OpenRunOptions,
  openRun,
  openSafetensors,
  openSession,
  type Progress,
  parseHfConfig,
  readFloats,
  trainingMode,
} from '../../src/index.ts';
import { readMetrics } from '../../src/run/metrics.ts';
import { ROOT } from '../support/cli.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

const model = join(ROOT, 'examples/tiny-llama/model');
const data = join(ROOT, 'examples/demo/questions.jsonl');
const evalData = join(ROOT, 'examples/demo/held-out.jsonl');
let device: TestDevice;
let folder: string;
beforeAll(async () => {
  device = await openTestDevice();
  folder = mkdtempSync(join(tmpdir(), 'ebb-open-run-'));
});
afterAll(() => {
  device.device.destroy();
  rmSync(folder, { recursive: true });
});

const options = (out: string, more: Partial<OpenRunOptions> = {}): OpenRunOptions => ({
  model,
  data,
  device: { ...device, why: 'the test' },
  out: join(folder, out),
  lora: { rank: 4 },
  drop: 0.5,
  optimizer: { lr: 3e-3 },
  steps: 4,
  batch: 2,
  length: 32,
  evalLimit: 2,
  tune: 'off',
  ...more,
});
const PARAMETER = 'model.layers.0.self_attn.q_proj.lora_B.weight';

it('trains as finetune does; where it pauses, what is evaluated and read is the model after that step', async () => {
  const losses: number[] = [];
  const whole = await finetune(options('whole', { evalData, steps: 2 }));

  const told: Progress['kind'][] = [];
  const run = await openRun(options('own', { evalData, onProgress: ({ kind }) => void told.push(kind) }));
  expect(run).toMatchObject({ total: 4, done: 0, units: 12 });
  expect(run.batches.at(0).sizes).toEqual({ B: 2, T: 32 });
  expect(await run.evaluate()).toBe(whole.heldOut?.before);
  expect(await run.evaluate(evalData)).toBe(whole.heldOut?.before);
  const { tensors, ...file } = openSafetensors(join(whole.out, 'result/adapter_model.safetensors'));
  const name = [...tensors.keys()].find((key) => key.includes('layers.0.self_attn.q_proj.lora_B'))!;
  for await (const { step, loss } of run.steps(run.batches, { pauseAfter: (done) => done === 2 })) {
    losses.push(loss);
    if (step !== 2) continue;
    expect(loss).toBe(whole.loss);
    expect(await run.evaluate()).toBe(whole.heldOut?.after);
    expect(await run.read(PARAMETER)).toEqual(readFloats({ ...file, tensors }, name));
  }
  expect(told).not.toContain('step');
  const report = await run.save();
  expect(report).toMatchObject({ steps: 4, loss: losses[3], interrupted: false, result: join(folder, 'own/result') });
  run.close();
  const { steps, heldOut } = readMetrics(join(folder, 'own'));
  expect(steps.map(({ loss }) => loss)).toEqual(losses);
  expect(heldOut).toEqual([
    { step: 0, heldOut: whole.heldOut?.before },
    { step: 2, heldOut: whole.heldOut?.after },
    { step: 4, heldOut: report.heldOut?.after },
  ]);
});

it('a loop that is left has all steps finished that were begun; the run goes on from there, in another loop or when it is opened again', async () => {
  const losses = async (run: Awaited<ReturnType<typeof openRun>>, most = 9): Promise<number[]> => {
    const found: number[] = [];
    for await (const { loss } of run.steps(run.batches, { pauseAfter: () => true })) {
      found.push(loss);
      if (found.length === most) break;
    }
    return found;
  };
  const straight = await openRun(options('straight'));
  const wanted = await losses(straight);
  straight.close();
  const first = await openRun(options('first'));
  const before = [...(await losses(first, 1)), ...(await losses(first, 1))];
  expect(await first.save()).toMatchObject({ steps: 2 });
  first.close();
  const second = await openRun(options('first', { resume: true }));
  expect(second.done).toBe(2);
  expect([...before, ...(await losses(second))]).toEqual(wanted);
  second.close();
});

it('sensitivities that were measured are told', async () => {
  const measured: string[][] = [];
  const run = await openRun(
    options('measured', {
      steps: 1,
      drop: { kind: 'dropbp', rate: 0.5 },
      onProgress: (progress) => void (progress.kind === 'measured' && measured.push([...progress.measured.units])),
    }),
  );
  for await (const _ of run.steps());
  run.close();
  expect(measured.map((units) => units.length)).toEqual([12]);
});

it('what cannot be is refused by name, and nothing is written for a run that did not open', async () => {
  await expect(openRun(options('wrong', { profile: 3 } as object))).rejects.toThrow(/^openRun\(\): unknown key profile/);
  await expect(openRun(options('own'))).rejects.toThrow('holds a run already');
  await expect(openRun(options('aborted', { signal: AbortSignal.abort(new Error('enough')) }))).rejects.toThrow('enough');
  expect(existsSync(join(folder, 'aborted'))).toBe(false);
  const run = await openRun(options('plain'));
  await expect(run.evaluate()).rejects.toThrow('the run has no evalData');
  await expect(run.evaluate(join(folder, 'none.jsonl'))).rejects.toMatchObject({ name: 'EbbError' });
  await expect(run.read('head')).rejects.toThrow('has no parameter head');
  run.close();
});

it('a model without weights is drawn, for a session whose kernels are cut as they were measured', async () => {
  const reading = parseHfConfig('config.json', readFileSync(join(model, 'config.json'), 'utf8'));
  const session = await openSession(reading, device, {
    mode: trainingMode(8),
    dims: { B: 1, T: 8 },
    lora: null,
    trains: 'full',
    micros: 1,
    optimizer: 'sgd',
    decay: 'all',
    seed: 1,
    tune: 0,
  });
  expect(session.checkpoint).toBe(reading);
  const index = session.traced.params.findIndex((p) => p.name === 'model.embed_tokens.weight');
  const drawn = await session.engine.readParam(index);
  expect(drawn.some((x) => x !== 0)).toBe(true);
  session.engine.destroy();
});
