/** @file Makes engines: programs on devices. */

import { EbbError, invariant } from '../errors.ts';
import type { Device } from './device.ts';
import type { Engine, EngineOptions } from './engine.ts';
import { type EngineParts, prepareParts } from './engineParts.ts';
import { findNonFinite } from './findNonFinite.ts';
import { checkInputs } from './inputs.ts';
import { lastingValues } from './lasting.ts';
import type { Program } from './program.ts';
import { runForward } from './runForward.ts';
import { type Probed, runProbes } from './runProbes.ts';
import { runStep, writeInputs } from './runStep.ts';
import { type CallGiven, stepCall } from './stepCall.ts';
import type { MicroBatch } from './stepParts.ts';
import type { UpdateCounts } from './updateCounts.ts';

export type { Engine, EngineOptions, StepLosses, StepOptions, StepResult } from './engine.ts';
export type { MicroBatch } from './stepParts.ts';
export type { Update } from './updatePhase.ts';

async function probeUnits(engine: EngineParts, micro: CallGiven & Pick<MicroBatch, 'inputs'>): Promise<Probed> {
  const { device, program, buffers, encoder, probes, strides } = engine;
  invariant(probes, 'the engine was made without probes');
  checkInputs(program, micro.sizes, micro.inputs);
  writeInputs(engine, micro, 0);
  const sizes = { ...engine.sizes, ...micro.sizes };
  return runProbes(probes, { device, program, buffers, sizes, encoder, stepCallOf: (call) => stepCall(program, call, micro, 0, strides) });
}

/** @throws EbbError for an engine that updates nothing */
function countsOf({ counts }: EngineParts): UpdateCounts {
  if (!counts) throw new EbbError('the engine was made without an optimizer, and counts no updates');
  return counts;
}

/** Prepares a program on a device: compiles its pipelines, allocates its buffers. Nothing is created afterwards. @throws EbbError where a kernel does not compile, or memory is not enough */
export async function createEngine(device: Device, program: Program, options: EngineOptions): Promise<Engine> {
  const engine = await prepareParts(device, program, options);
  const { storage, linker, buffers, params } = engine;
  return {
    program,
    storage,
    linker,
    memory: buffers.memory,
    buffers: buffers.buffers,
    step: (micros, update, given = {}) => runStep(engine, micros, update, given),
    probe: (micro) => probeUnits(engine, micro),
    findNonFinite: (micro) => findNonFinite(engine, micro),
    forward: (micro) => runForward(engine, micro),
    readUpdates: async () => countsOf(engine).read(),
    writeUpdates: (counts) => countsOf(engine).write(counts),
    ...lastingValues(params),
    destroy: buffers.destroy,
  };
}
