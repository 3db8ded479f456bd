/** @file A run on a device that is lost or out of memory, or whose loss is no number, ends with one sentence that says what to do. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileModel } from '../../src/compile/compile.ts';
import { withDevice } from '../../src/node/device.ts';
import type { TrainHooks } from '../../src/run/run.ts';
import type { Device } from '../../src/runtime/device.ts';
import { createEngine } from '../../src/runtime/execute.ts';
import { finetune } from '../../src/session/finetune.ts';
import type { RunInput } from '../../src/train/config.ts';
import { ROOT, TINY_MODEL } from '../support/cli.ts';
import { type Failures, openFailing } from '../support/failingDevice.ts';
import { openTestDevice } from '../support/testDevice.ts';
import { tinyModel } from '../support/tinyModels.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-failures-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let runs = 0;
/** The message that a run on a failing device ends with. */
async function failureOf(failures: Partial<Failures>, change: Partial<RunInput>, hooks: TrainHooks = {}): Promise<string> {
  const data = join(ROOT, 'examples/demo/questions.jsonl');
  const { drop, device: _device, $schema: _schema, ...keys } = { steps: 8, length: 24, lora: { rank: 2 }, ...change };
  const options = { model: TINY_MODEL, data, out: join(folder, `run-${runs++}`), ...keys, ...(drop ? { drop } : {}), ...hooks };
  const ended = withDevice('auto', (device) => finetune({ ...options, device }), {
    open: ({ onError } = {}) => openFailing(failures, (error) => onError?.(error)),
  });
  const error: unknown = await ended.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'EbbError' });
  const { message } = error as Error;
  expect(message).not.toContain('\n');
  return message;
}

it('a lost device: the cause is told, not the calls that failed for it; resume', async () => {
  const failures: Partial<Failures> = {};
  const evaluated: number[][] = [];
  const onProgress: TrainHooks['onProgress'] = (progress) => {
    if (progress.kind === 'step' && progress.metrics.step === 3) failures.lose?.('fell off the bus');
    if (progress.kind === 'pieces' && progress.what === 'held-out evaluation') evaluated.push([progress.done, progress.total]);
  };
  const held = { evalData: join(ROOT, 'examples/demo/held-out.jsonl'), evalLimit: 2 };
  expect(await failureOf(failures, held, { onProgress })).toMatch(/^the device was lost \(unknown\): fell off the bus; resume from the last checkpoint/);
  expect(evaluated).toEqual([
    [0, 2],
    [1, 2],
    [2, 2],
  ]);
});

it('out of memory: how much was asked for, and what makes it less', async () => {
  expect(await failureOf({ outOfMemory: true }, {})).toMatch(
    /^the device ran out of memory allocating \d+ bytes; choose a smaller batch or length, or a smaller model$/,
  );
});

it('a loss that is no number: the step, and the learning rate', async () => {
  const optimizer = { name: 'sgd' as const, lr: 1e30 };
  const message = await failureOf({}, { optimizer, clip: 0, lora: false, saveEvery: 1 });
  expect(message).toMatch(/^(step \d: the loss is \S+ and the gradient norm (NaN|Infinity); .*lower the learning rate \(optimizer\.lr\)|after training )/);
});

it('a buffer larger than the device allows is refused by its use', async () => {
  const opened = await openTestDevice();
  const { profile } = opened.device;
  const small: Device = { ...opened.device, profile: { ...profile, limits: { ...profile.limits, maxBufferSize: 2 ** 14 } } };
  const { program } = compileModel(tinyModel({ dims: { B: 8, T: 64 } }), { device: { traits: opened.traits, maxBuffers: 8 } });
  await expect(createEngine(small, program, { micros: 1, decays: () => true, optimizer: 'none' })).rejects.toThrow(
    /activations needs a buffer of \d+ bytes, this device allows 16384 \(maxBufferSize\); choose a smaller batch or length$/,
  );
  opened.device.destroy();
});

it('a parameter is written whole or not at all', async () => {
  const opened = await openTestDevice();
  const { program } = compileModel(tinyModel({}), { device: { traits: opened.traits, maxBuffers: 8 }, optimizers: ['adamw'] });
  const engine = await createEngine(opened.device, program, { micros: 1, decays: () => true, optimizer: 'adamw' });
  const index = program.params.findIndex((p) => p.trainable);
  const { name, bytes } = program.params[index]!;
  const longer = new Float32Array(bytes / 4 + 4);
  expect(() => engine.writeParam(index, longer)).toThrow(`parameter ${name} was given ${bytes + 16} bytes, it takes ${bytes}`);
  expect(() => engine.writeMoment(index, 'm', longer.subarray(8))).toThrow(`parameter ${name} was given ${bytes - 16} bytes, it takes ${bytes}`);
  engine.destroy();
  opened.device.destroy();
});
