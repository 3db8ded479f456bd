/** @file Runs a step: the device starts on the forward while the rest is encoded, and losses come back through a ring. */

import { at, EbbError, invariant } from '../errors.ts';
import type { DeviceBuffer, Recording } from './device.ts';
import { type DispatchLog, dispatchLog } from './dispatchTimes.ts';
import type { StepOptions, StepResult } from './engine.ts';
import { bufferAt } from './engineBuffers.ts';
import type { EngineParts } from './engineParts.ts';
import { checkInputs } from './inputs.ts';
import { gradientRange } from './lasting.ts';
import { address, BUFFERS, offsetOf } from './link/address.ts';
import type { StepCall } from './stepCall.ts';
import { backwardPart, type MicroBatch } from './stepParts.ts';
import { type Update, updatePart } from './updatePhase.ts';

/** Hands the inputs of micro-batch `index` to the device. */
export function writeInputs({ device, program, storage, buffers }: EngineParts, { inputs }: Pick<MicroBatch, 'inputs'>, index: number): void {
  for (const [i, { name }] of program.inputs.entries()) {
    const given = inputs[name];
    invariant(given, `input ${name} was checked and is missing`);
    const place = at(storage.placement.inputs, i);
    device.write(bufferAt(buffers, place), offsetOf(place) + index * storage.inputBytes, given);
  }
}

/** Records zeros over the gradients of parameters that have one. */
function clearGradients(recording: Recording, { params }: EngineParts, cleared: Iterable<number>): void {
  for (const param of cleared) {
    const range = gradientRange(params, param);
    if (range) recording.clear(range.buffer, range.offset, range.bytes);
  }
}

/** Submits calls behind what `first` holds. The device starts on the leading forward while the rest is encoded, unless dispatches are timed. */
function submitCalls(
  { device, encoder }: EngineParts,
  calls: readonly StepCall[],
  first: Recording,
  log: DispatchLog | null,
  end: (last: Recording) => void,
  work: number,
): number {
  encoder.fill(calls);
  const rest = calls.findIndex(({ phase }) => phase !== 'forward');
  let recording = first;
  let dispatches = 0;
  const split = log ? 0 : Math.max(0, rest);
  if (split > 0) {
    dispatches = encoder.encode(recording, calls, 0, split);
    device.submit(recording);
    recording = device.record();
  }
  dispatches += encoder.encode(recording, calls, split, calls.length, log?.note);
  end(recording);
  device.submit(recording, work);
  return dispatches;
}

/** Copies the loss of each micro-batch, its first result, and the gradient norm behind them. */
function copyLosses(recording: Recording, { buffers, micros, strides }: EngineParts, count: number, to: DeviceBuffer): void {
  const results = bufferAt(buffers, address(BUFFERS.results, 0));
  for (let m = 0; m < count; m++) recording.copy(results, m * strides.results, to, 4 * m, 4);
  recording.copy(bufferAt(buffers, buffers.norm), offsetOf(buffers.norm), to, 4 * micros, 4);
}

/** Submits the micro-batches of a step and, unless null, the update. @throws EbbError as `Engine.step` */
export function runStep(engine: EngineParts, micros: readonly MicroBatch[], update: Update | null, { timed = false }: StepOptions): StepResult {
  const { device, program, storage, buffers } = engine;
  if (micros.length > engine.micros) throw new EbbError(`a step has ${micros.length} micro-batches, the engine was made for ${engine.micros}`);
  for (const { sizes, inputs } of micros) checkInputs(program, sizes, inputs);
  const log = timed ? dispatchLog(device, program, engine.sizes, engine.mostDispatches) : null;
  const backward = backwardPart(engine, micros);
  const updating = update ? updatePart(program, storage, buffers, update, backward.written) : null;
  micros.forEach((micro, m) => writeInputs(engine, micro, m));

  const recording = device.record(log?.timeline);
  clearGradients(recording, engine, backward.zeroed);
  if (updating) {
    recording.clear(bufferAt(buffers, buffers.norm), 0, bufferAt(buffers, buffers.norm).bytes);
    clearGradients(recording, engine, updating.zeroed);
  }
  const place = engine.ring.next();
  const { forwardFlops, backwardFlops, variants } = backward;
  const dispatches = submitCalls(
    engine,
    [...backward.calls, ...(updating?.calls ?? [])],
    recording,
    log,
    (last) => copyLosses(last, engine, micros.length, place.buffer),
    forwardFlops + backwardFlops,
  );
  const updated = updating?.updated ?? [];
  return {
    variants,
    updated,
    dispatches,
    forwardFlops,
    backwardFlops,
    async read() {
      const found = new Float32Array(await place.read(4 * engine.micros + 4));
      const norm = updated.length > 0 ? at(found, engine.micros) : update ? 0 : Number.NaN;
      return { losses: Array.from(found.subarray(0, micros.length)), gradNorm: norm };
    },
    ...(log ? { times: () => log.times() } : {}),
  };
}
