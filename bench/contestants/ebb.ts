/** @file Ebb itself as a contestant: the engine that `ebb train` drives, and the library's matmul kernel. */

import { readFileSync, writeFileSync } from 'node:fs';
import { type MatmulKernel, type MatmulSize, matmulKernel, matmulStandard, matmulWork } from '../../src/cli/doctorKernel.ts';
import { tuneModel, withSchedules } from '../../src/cli/tune.ts';
import { deviceTraits, kindTraits } from '../../src/codegen/kernel/device.ts';
import { matmulCandidates } from '../../src/codegen/kernel/matmul/candidates.ts';
import { PLAIN } from '../../src/codegen/kernel/matmul/register/schedule.ts';
import { isMatmulSchedule, type MatmulSchedule } from '../../src/codegen/kernel/matmul/schedule.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { trainingMode } from '../../src/models/inputs.ts';
import { type OpenedDevice, openDevice } from '../../src/node/adapter.ts';
import type { Device } from '../../src/runtime/device.ts';
import type { MicroBatch } from '../../src/runtime/execute.ts';
import { openSession, type Session, type SessionOptions, traceCheckpoint } from '../../src/session.ts';
import { type OptimizerConfig, updateScalar } from '../../src/train/optimizer.ts';
import type { PreparedKernel } from '../../src/tune/prepared.ts';
import { race } from '../../src/tune/tune.ts';
import type { LoadRequest, MatmulRequest, StepReply } from '../protocol.ts';
import { benchTokens, DATA, LORA_ALPHA, modelSpec, SPEC } from '../spec.ts';
import { threadClock } from '../threadTime.ts';
import { packageVersion } from '../versions.ts';
import { serve } from './serve.ts';

const { lr, beta1, beta2, eps, weightDecay } = SPEC.adamw;
const OPTIMIZER: OptimizerConfig = { name: 'adamw', lr, betas: [beta1, beta2], eps, weightDecay };

type Model = Pick<LoadRequest, 'model' | 'lora'>;

async function openModel(opened: OpenedDevice, { model, lora }: Model): Promise<Session> {
  const { batch, seq } = modelSpec(model);
  const path = `${DATA}/${model}`;
  const options: SessionOptions = {
    mode: trainingMode(seq),
    dims: { B: batch, T: seq },
    lora: lora === 0 ? null : { layers: ['model.layers.*'], rank: lora, alpha: LORA_ALPHA, rslora: false, dropout: 0 },
    trains: lora === 0 ? 'full' : 'adapter',
    micros: 1,
    optimizer: 'adamw',
    decay: 'all',
    seed: 1,
  };
  const { book } = await tuneModel(traceCheckpoint(openCheckpoint(path), options), opened, MODEL_TUNING_S);
  return openSession(path, withSchedules(opened, book), options);
}

/** For a product, and for all kernels of a model. EBB_TUNE=off leaves the models' out. */
const TUNING_MS = 5000;
const MODEL_TUNING_S = Number(process.env['EBB_BENCH_TUNING'] ?? 120);

function microBatch({ model }: Model, drop: readonly string[]): MicroBatch {
  const { batch, seq } = modelSpec(model);
  const { tokens, targets } = benchTokens(model);
  return {
    sizes: { B: batch, T: seq },
    inputs: { tokens, targets, segments: new Int32Array(tokens.length).fill(1) },
    pattern: new Map(drop.map((unit) => [unit, 'dropped'])),
    scalar: (name) => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0),
  };
}

/** While a step is encoded the device is at work on its forward: where that is a CPU it takes the wall's time, not the thread's. */
const clock = threadClock();

async function runStep(session: Session, model: Model, drop: readonly string[]): Promise<StepReply> {
  const micro = microBatch(model, drop);
  const started = performance.now();
  const prepared = clock.now();
  const result = session.engine.step([micro], {
    optimizer: 'adamw',
    maxNorm: 0,
    alsoUntouched: false,
    scalar: (name) => updateScalar(OPTIMIZER, lr, name),
  });
  const jsMs = clock.now() - prepared;
  const { losses } = await result.read();
  const ms = performance.now() - started;
  return {
    ms,
    jsMs,
    loss: losses[0] ?? Number.NaN,
    dispatches: result.dispatches,
    flops: result.forwardFlops + result.backwardFlops,
    savedBytes: result.variants[0]?.savedBytes ?? 0,
  };
}

/** Kernels by size: operands stay where they are. */
const kernels = new Map<string, Promise<MatmulKernel>>();

/** The best schedule that 5 seconds find. */
async function tunedSchedule(device: Device, size: MatmulSize): Promise<MatmulSchedule> {
  const traits = deviceTraits(device);
  // one kernel is timed, so nothing that takes two
  const candidates = matmulCandidates(traits, matmulWork(size)).filter(({ kGroups }) => kGroups === 1);
  const made: MatmulKernel[] = [];
  const prepare = async ({ schedule }: { readonly schedule: MatmulSchedule }): Promise<PreparedKernel> => {
    const started = performance.now();
    const kernel = await matmulKernel(device, size, schedule);
    made.push(kernel);
    for (const operand of [kernel.a, kernel.b])
      device.write(
        operand,
        0,
        Float32Array.from({ length: operand.bytes / 4 }, (_, i) => Math.sin(i)),
      );
    await submitted(device, kernel, 1);
    return {
      compileMs: performance.now() - started,
      time: (repeats) => submitted(device, kernel, repeats),
      results: async () => [new Float32Array(await device.read(kernel.c, 0, kernel.c.bytes))],
    };
  };
  const [best] = await race(
    { standard: { schedule: matmulStandard(traits, size) }, plain: { schedule: PLAIN }, candidates: candidates.map((schedule) => ({ schedule })) },
    prepare,
    performance.now() + TUNING_MS,
    () => performance.now(),
    kindTraits(traits).warmMs,
  );
  for (const kernel of made) kernel.destroy();
  if (!best || !isMatmulSchedule(best.schedule)) throw new Error('internal: nothing was measured');
  return best.schedule;
}

async function prepared(device: Device, { m, n, k, a, b }: MatmulRequest): Promise<MatmulKernel> {
  const kernel = await matmulKernel(device, { m, n, k }, await tunedSchedule(device, { m, n, k }));
  device.write(kernel.a, 0, readFileSync(a));
  device.write(kernel.b, 0, readFileSync(b));
  return kernel;
}

/** Milliseconds of one of `times` products in one submission. */
async function submitted(device: Device, kernel: MatmulKernel, times: number): Promise<number> {
  const started = performance.now();
  const recording = device.record();
  for (let i = 0; i < times; i++) kernel.record(recording);
  device.submit(recording);
  await device.done();
  return (performance.now() - started) / times;
}

async function multiply({ device }: OpenedDevice, request: MatmulRequest): Promise<number> {
  const key = [request.m, request.n, request.k].join('×');
  const kernel = await (kernels.get(key) ?? kernels.set(key, prepared(device, request)).get(key));
  if (!kernel) throw new Error('internal: no kernel');
  const ms = await submitted(device, kernel, request.times);
  if (request.c !== null) writeFileSync(request.c, new Uint8Array(await device.read(kernel.c, 0, kernel.c.bytes)));
  return ms;
}

let opened: OpenedDevice | undefined;
let model: Model | undefined;
let session: Session | undefined;

const device = (): OpenedDevice => {
  if (!opened) throw new Error('open comes first');
  return opened;
};

await serve({
  async open({ device }) {
    opened = await openDevice({ device });
    return { library: `Ebb, webgpu ${packageVersion('webgpu', import.meta.url)}`, device: opened.device.profile.name };
  },
  async load(request) {
    session?.engine.destroy();
    session = undefined;
    model = request;
  },
  async step({ drop }) {
    if (!model) throw new Error('load comes first');
    const started = performance.now();
    const first = session === undefined;
    session ??= await openModel(device(), model);
    const reply = await runStep(session, model, drop);
    return first ? { ...reply, ms: performance.now() - started } : reply;
  },
  matmul: async (request) => ({ ms: await multiply(device(), request) }),
  close: () => opened?.close(),
});
