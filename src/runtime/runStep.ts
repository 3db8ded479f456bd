/**
 * @file Runs a step: the micro-batches' forward and backward, an exchange of gradients where there is one, the update. The device starts on the
 * forward while the rest is encoded, and losses come back through a ring.
 */

import { at, EbbError, invariant } from '../errors.ts';
import type { DeviceBuffer, Recording } from './device.ts';
import { type DispatchLog, dispatchLog } from './dispatchTimes.ts';
import type { StepLosses, StepOptions, StepResult } from './engine.ts';
import { bufferAt } from './engineBuffers.ts';
import type { EngineParts } from './engineParts.ts';
import { type Exchange, stepGradients } from './exchange.ts';
import { checkInputs } from './inputs.ts';
import { gradientRange } from './lasting.ts';
import { address, BUFFERS, offsetOf } from './link/address.ts';
import type { RingPlace } from './lossRing.ts';
import type { StepCall } from './stepCall.ts';
import { type BackwardPart, backwardPart, type MicroBatch } from './stepParts.ts';
import { planUpdates, type Update, type UpdatePart, updatePart } from './updatePhase.ts';

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
export function clearGradients(recording: Recording, { params }: EngineParts, cleared: Iterable<number>): void {
  for (const param of cleared) {
    const range = gradientRange(params, param);
    if (range) recording.clear(range.buffer, range.offset, range.bytes);
  }
}

/** How calls are submitted. */
interface Submission {
  /** The recording to begin with, which may hold commands already. */
  readonly first: Recording;
  /** Where dispatches are noted and timed, each alone on the device. */
  readonly log: DispatchLog | null;
  /** Records what comes behind the calls. */
  readonly end?: (last: Recording) => void;
  /** FLOPs. */
  readonly work: number;
}

/** Submits calls. The device starts on the leading forward while the rest is encoded, unless dispatches are timed. Returns the number of dispatches. */
function submitCalls({ device, encoder }: EngineParts, calls: readonly StepCall[], { first, log, end, work }: Submission): number {
  encoder.fill(calls);
  let recording = first;
  let dispatches = 0;
  const split = log
    ? 0
    : Math.max(
        0,
        calls.findIndex(({ phase }) => phase !== 'forward'),
      );
  if (split > 0) {
    dispatches = encoder.encode(recording, calls, 0, split);
    device.submit(recording);
    recording = device.record();
  }
  dispatches += encoder.encode(recording, calls, split, calls.length, log?.note);
  end?.(recording);
  device.submit(recording, work);
  return dispatches;
}

/** Copies the loss of each micro-batch, its first result, and the gradient norm behind them. */
function copyLosses(recording: Recording, { buffers, micros, strides }: EngineParts, count: number, to: DeviceBuffer): void {
  const results = bufferAt(buffers, address(BUFFERS.results, 0));
  for (let m = 0; m < count; m++) recording.copy(results, m * strides.results, to, 4 * m, 4);
  recording.copy(bufferAt(buffers, buffers.norm), offsetOf(buffers.norm), to, 4 * micros, 4);
}

/** Records what an update needs to find zero: the partial norms, and gradients of parameters that got none and are updated all the same. */
function clearForUpdate(recording: Recording, engine: EngineParts, { zeroed }: UpdatePart): void {
  const norms = bufferAt(engine.buffers, engine.buffers.norm);
  recording.clear(norms, 0, norms.bytes);
  clearGradients(recording, engine, zeroed);
}

/** A step under way. */
interface StepRun {
  readonly engine: EngineParts;
  readonly backward: BackwardPart;
  readonly micros: number;
  readonly place: RingPlace;
  readonly log: DispatchLog | null;
}

/** The groups that a submitted step updates, and the number of its dispatches. */
interface Submitted {
  readonly updated: readonly number[];
  readonly dispatches: number;
}

const workOf = ({ forwardFlops, backwardFlops }: BackwardPart): number => forwardFlops + backwardFlops;

/** Plans the update of what was written, and tells the device which groups that is. */
function prepareUpdate({ program, storage, buffers, counts, state }: EngineParts, update: Update, written: ReadonlySet<number>): UpdatePart {
  if (counts?.optimizer !== update.optimizer)
    throw new EbbError(`the engine was made for the optimizer ${counts?.optimizer ?? 'none'}, the update is of ${update.optimizer}`);
  state.updates ??= planUpdates(program, storage, buffers, update.optimizer);
  const part = updatePart(state.updates, update, written);
  counts.prepare(update, part.updated);
  return part;
}

/** Submits backward and update in one. */
function submitAtOnce({ engine, backward, micros, place, log }: StepRun, update: Update | null): Submitted {
  const part = update && prepareUpdate(engine, update, backward.written);
  const first = engine.device.record(log?.timeline);
  clearGradients(first, engine, backward.zeroed);
  if (part) clearForUpdate(first, engine, part);
  const end = (last: Recording): void => copyLosses(last, engine, micros, place.buffer);
  const calls = [...backward.calls, ...(part?.calls ?? [])];
  return { updated: part?.updated ?? [], dispatches: submitCalls(engine, calls, { first, log, end, work: workOf(backward) }) };
}

/** Submits the backward alone. Returns the number of dispatches. */
function submitBackward({ engine, backward, log }: StepRun): number {
  const first = engine.device.record(log?.timeline);
  clearGradients(first, engine, backward.zeroed);
  return submitCalls(engine, backward.calls, { first, log, work: workOf(backward) });
}

/** Submits the update of what was written. */
function submitUpdate({ engine, micros, place, log }: StepRun, update: Update, written: ReadonlySet<number>): Submitted {
  const part = prepareUpdate(engine, update, written);
  const first = engine.device.record(log?.timeline);
  clearForUpdate(first, engine, part);
  const end = (last: Recording): void => copyLosses(last, engine, micros, place.buffer);
  return { updated: part.updated, dispatches: submitCalls(engine, part.calls, { first, log, end, work: 0 }) };
}

/** Submits the backward, hands the gradients to the exchange, and submits the update behind it. What is known at once, and what is once the exchange ends. */
function submitWithExchange(run: StepRun, update: Update, exchange: Exchange): Submitted | Promise<Submitted> {
  const { engine, backward } = run;
  const written = new Set(backward.written);
  const before = submitBackward(run);
  const finish = (): Submitted => {
    const { updated, dispatches } = submitUpdate(run, update, written);
    return { updated, dispatches: before + dispatches };
  };
  const pending = exchange(stepGradients(engine.device, engine.params, written));
  if (pending === undefined) return finish();
  engine.state.exchanging = true;
  return pending.then(finish).finally(() => {
    engine.state.exchanging = false;
  });
}

/** Losses of the micro-batches, and the gradient norm: 0 where nothing was updated, and NaN without an update. */
async function readLosses({ engine, micros, place }: StepRun, update: Update | null, updated: readonly number[]): Promise<StepLosses> {
  const found = new Float32Array(await place.read(4 * engine.micros + 4));
  const norm = updated.length > 0 ? at(found, engine.micros) : 0;
  return { losses: Array.from(found.subarray(0, micros)), gradNorm: update ? norm : Number.NaN };
}

/** Submits the micro-batches of a step and, unless null, the update. @throws EbbError as `Engine.step` */
export function runStep(engine: EngineParts, micros: readonly MicroBatch[], update: Update | null, { timed = false }: StepOptions): StepResult {
  const { device, program } = engine;
  if (engine.state.exchanging) throw new EbbError('a step began before the exchange of the last one had ended; wait for its `exchanged`');
  if (micros.length > engine.micros) throw new EbbError(`a step has ${micros.length} micro-batches, the engine was made for ${engine.micros}`);
  for (const { sizes, inputs } of micros) checkInputs(program, sizes, inputs);
  const log = timed ? dispatchLog(device, program, engine.sizes, engine.mostDispatches) : null;
  const backward = backwardPart(engine, micros);
  micros.forEach((micro, m) => writeInputs(engine, micro, m));
  const run: StepRun = { engine, backward, micros: micros.length, place: engine.ring.next(), log };
  const submitted = update && engine.exchange ? submitWithExchange(run, update, engine.exchange) : submitAtOnce(run, update);
  const { variants, forwardFlops, backwardFlops } = backward;
  const common = { variants, forwardFlops, backwardFlops, ...(log ? { times: () => log.times() } : {}) };
  if (!(submitted instanceof Promise)) return { ...common, ...submitted, read: () => readLosses(run, update, submitted.updated) };
  const result = { ...common, updated: [] as readonly number[], dispatches: 0 };
  const exchanged = submitted.then((known) => void Object.assign(result, known));
  return Object.assign(result, {
    exchanged,
    async read() {
      await exchanged;
      return readLosses(run, update, result.updated);
    },
  });
}
