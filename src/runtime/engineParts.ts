/** @file Prepares a program on a device: everything that its steps use is made here, and nothing afterwards. */

import { type ActivationBytes, bufferBytes } from './bufferBytes.ts';
import { BLOCK_BYTES, type Device, type Pipeline } from './device.ts';
import { checkFit } from './deviceFit.ts';
import { createEncoder, type Encoder } from './encode.ts';
import type { EngineOptions } from './engine.ts';
import { allocate, type EngineBuffers } from './engineBuffers.ts';
import type { Exchange } from './exchange.ts';
import type { ParamMemory } from './lasting.ts';
import { createLaunches } from './launches.ts';
import { createLinker, type Linker } from './link/link.ts';
import type { LinkedProbes } from './link/probe.ts';
import { createLossRing, type LossRing } from './lossRing.ts';
import { neededPipelines } from './neededPipelines.ts';
import { probeBytes } from './probeNorms.ts';
import type { Program, Sizes } from './program.ts';
import type { MicroStrides } from './stepCall.ts';
import { type FlopCount, flopCounter, type SameSizes, type StepBounds, sizesKeeper } from './stepParts.ts';
import { planStorage, type StoragePlan } from './storage.ts';
import { type UpdateCounts, updateCounts } from './updateCounts.ts';
import type { UpdatePlan } from './updatePhase.ts';

/** What changes from step to step. */
export interface EngineState {
  /** Whether the update of a step waits for its exchange. */
  exchanging: boolean;
  /** What updates are made of, planned at the first one. */
  updates: UpdatePlan | null;
}

/** Everything that an engine is made of. */
export interface EngineParts {
  readonly device: Device;
  readonly program: Program;
  /** Run-time dimensions at their bounds. */
  readonly sizes: Sizes;
  readonly storage: StoragePlan;
  readonly linker: Linker;
  readonly buffers: EngineBuffers;
  readonly encoder: Encoder;
  readonly ring: LossRing;
  readonly params: ParamMemory;
  readonly flopsOf: FlopCount;
  readonly sameSizes: SameSizes;
  readonly strides: MicroStrides;
  readonly bounds: StepBounds;
  /** Most micro-batches in a step. */
  readonly micros: number;
  /** Dispatches that a step can have. */
  readonly mostDispatches: number;
  readonly probes: LinkedProbes | null;
  /** Null for an engine that updates nothing. */
  readonly counts: UpdateCounts | null;
  readonly exchange: Exchange | null;
  readonly state: EngineState;
}

/** Compiles what steps can ask for, side by side. By index of the program; null where nothing asks. @throws EbbError with the kernel's name and the driver's words */
function compilePipelines(
  device: Device,
  { pipelines }: Program,
  needed: ReadonlySet<number>,
  told: EngineOptions['onPipeline'],
): Promise<(Pipeline | null)[]> {
  let done = 0;
  const compile = async (decl: Program['pipelines'][number]): Promise<Pipeline> => {
    const pipeline = await device.pipeline(decl);
    told?.(++done, needed.size);
    return pipeline;
  };
  if (needed.size > 0) told?.(0, needed.size);
  return Promise.all(pipelines.map((decl, i) => (needed.has(i) ? compile(decl) : null)));
}

const largest = (a: ActivationBytes, b: ActivationBytes): ActivationBytes => ({
  stackBytes: Math.max(a.stackBytes, b.stackBytes),
  slotBytes: Math.max(a.slotBytes, b.slotBytes),
});

/** @throws EbbError where the device takes another language, a kernel does not compile, a buffer is larger than the device allows, or memory is not enough */
export async function prepareParts(device: Device, program: Program, options: EngineOptions): Promise<EngineParts> {
  const sizes: Sizes = Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));
  const { maxBufferSize } = device.profile.limits;
  const storage = planStorage(program, sizes, { maxBufferSize, maxBinding: program.partBytes }, options.decays);
  const linker = createLinker(program, storage.placement, sizes);
  const { micros, optimizer, forms = ['full', 'dropped', 'skipped'] } = options;
  const bounds: StepBounds = { forms, activations: options.activations ?? linker.bounds(forms) };
  const probes = options.probes === undefined ? null : linker.probes(options.probes);
  const moving = probes ? { ...largest(bounds.activations, probes), probeBytes: probeBytes(program, probes) } : bounds.activations;
  const planned = bufferBytes(program, sizes, storage, { ...moving, micros, optimizer });
  checkFit(program, planned, device.profile);
  const pipelines = await compilePipelines(device, program, neededPipelines(program, micros, options.probes !== undefined), options.onPipeline);
  const buffers = await allocate(device, program, sizes, storage, { planned, shared: options.share?.buffers ?? [] });
  const launches = createLaunches(device, program, sizes, pipelines, buffers);
  return {
    device,
    program,
    sizes,
    storage,
    linker,
    buffers,
    encoder: createEncoder(device, program, sizes, launches, buffers.blocks),
    ring: createLossRing(device, buffers.ring),
    params: { device, params: program.params, placement: storage.placement, buffers: buffers.buffers },
    flopsOf: flopCounter(program, sizes),
    sameSizes: sizesKeeper(program),
    strides: { inputs: storage.inputBytes, results: buffers.resultBytes },
    bounds,
    micros,
    mostDispatches: (buffers.blocks.bytes / BLOCK_BYTES) * Math.max(1, ...program.functions.map((fn) => fn.dispatches.length)),
    probes,
    counts: optimizer === 'none' ? null : updateCounts(device, buffers, storage.groups.length, optimizer),
    exchange: options.exchange ?? null,
    state: { exchanging: false, updates: null },
  };
}
