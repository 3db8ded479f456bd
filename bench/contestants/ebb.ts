/** @file Ebb as a contestant, with the engine of `ebb train` and the matmul kernel of the library. */

import { readFileSync, writeFileSync } from 'node:fs';
import { kindTraits } from '../../src/codegen/kernel/device.ts';
import { matmulCandidates } from '../../src/codegen/kernel/matmul/candidates.ts';
import { PLAIN } from '../../src/codegen/kernel/matmul/register/schedule.ts';
import { isMatmulSchedule, type MatmulSchedule } from '../../src/codegen/kernel/matmul/schedule.ts';
import { at, invariant } from '../../src/errors.ts';
import {
  deviceTraits,
  type MicroBatch,
  type OpenedDevice,
  type OptimizerConfig,
  openDevice,
  openSession,
  type Session,
  updateScalar,
} from '../../src/index.ts';
import type { Device } from '../../src/runtime/index.ts';
import type { PreparedKernel } from '../../src/tune/prepared.ts';
import { type MatmulKernel, type MatmulSize, matmulKernel, matmulStandard, matmulWork } from '../../src/tune/productKernel.ts';
import { race } from '../../src/tune/race.ts';
import { sessionOptions } from '../bare.ts';
import type { LoadRequest, MatmulRequest, StepReply } from '../protocol.ts';
import { benchTokens, DATA, modelSpec, SPEC } from '../spec.ts';
import { threadClock } from '../threadTime.ts';
import { packageVersion } from '../versions.ts';
import { type Contestant, serve } from './serve.ts';

const { lr, beta1, beta2, eps, weightDecay } = SPEC.adamw;
const OPTIMIZER: OptimizerConfig = { name: 'adamw', lr, betas: [beta1, beta2], eps, weightDecay };

type Model = Pick<LoadRequest, 'model' | 'lora'>;

const openModel = (opened: OpenedDevice, { model, lora }: Model): Promise<Session> =>
  openSession(`${DATA}/${model}`, opened, { ...sessionOptions(modelSpec(model), lora), tune: MODEL_TUNING_S });

/** Time for tuning the kernel of a product. */
const TUNING_MS = 5000;
/** Time for tuning the kernels of a model. EBB_TUNE=off turns that off. */
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

/** While a step is encoded the device works on its forward. Where the device is a CPU this takes wall time, but no time of this thread. */
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
    loss: at(losses, 0),
    dispatches: result.dispatches,
    flops: result.forwardFlops + result.backwardFlops,
    savedBytes: at(result.variants, 0).savedBytes,
  };
}

/** Finds the best schedule in TUNING_MS. */
async function tunedSchedule(device: Device, size: MatmulSize): Promise<MatmulSchedule> {
  const traits = deviceTraits(device);
  // a schedule whose product takes two kernels is left out, because one kernel is timed
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
    { prepare, end: performance.now() + TUNING_MS, now: () => performance.now(), warmMs: kindTraits(traits).warmMs },
  );
  for (const kernel of made) kernel.destroy();
  invariant(best && isMatmulSchedule(best.schedule), 'no schedule was measured');
  return best.schedule;
}

async function prepared(device: Device, { m, n, k, a, b }: MatmulRequest): Promise<MatmulKernel> {
  const kernel = await matmulKernel(device, { m, n, k }, await tunedSchedule(device, { m, n, k }));
  device.write(kernel.a, 0, readFileSync(a));
  device.write(kernel.b, 0, readFileSync(b));
  return kernel;
}

/** Computes `times` products in one submission. Returns the milliseconds of one of them. */
async function submitted(device: Device, kernel: MatmulKernel, times: number): Promise<number> {
  const started = performance.now();
  const recording = device.record();
  for (let i = 0; i < times; i++) kernel.record(recording);
  device.submit(recording);
  await device.done();
  return (performance.now() - started) / times;
}

/** Kernels by the size of their product. Their operands stay on the device. */
type Kernels = Map<string, MatmulKernel>;

async function multiply({ device }: OpenedDevice, kernels: Kernels, request: MatmulRequest): Promise<number> {
  const key = [request.m, request.n, request.k].join('×');
  const kernel = kernels.get(key) ?? (await prepared(device, request));
  kernels.set(key, kernel);
  const ms = await submitted(device, kernel, request.times);
  if (request.c !== null) writeFileSync(request.c, new Uint8Array(await device.read(kernel.c, 0, kernel.c.bytes)));
  return ms;
}

function createContestant(): Contestant {
  const kernels: Kernels = new Map();
  let opened: OpenedDevice | undefined;
  let model: Model | undefined;
  let session: Session | undefined;
  const openedDevice = (): OpenedDevice => {
    if (!opened) throw new Error('the request `open` has to come first');
    return opened;
  };
  return {
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
      if (!model) throw new Error('the request `load` has to come first');
      const started = performance.now();
      const first = session === undefined;
      session ??= await openModel(openedDevice(), model);
      const reply = await runStep(session, model, drop);
      return first ? { ...reply, ms: performance.now() - started } : reply;
    },
    matmul: async (request) => ({ ms: await multiply(openedDevice(), kernels, request) }),
    close: () => opened?.close(),
  };
}

await serve(createContestant());
