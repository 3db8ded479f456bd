/** @file Runs a micro-batch function by function, and finds the first whose output is not finite; then that one dispatch by dispatch. */

import { at } from '../errors.ts';
import { bufferAt } from './engineBuffers.ts';
import type { EngineParts } from './engineParts.ts';
import { checkInputs, elementText, notFinite } from './inputs.ts';
import { lastingValues } from './lasting.ts';
import { offsetOf } from './link/address.ts';
import type { LinkedCall } from './link/linked.ts';
import type { NonFiniteValue } from './nonFiniteValue.ts';
import { type CallDecl, extentBytes, extentShape, type FunctionDecl, type SlotDecl } from './program.ts';
import { clearGradients, writeInputs } from './runStep.ts';
import { type StepCall, stepCall } from './stepCall.ts';
import type { MicroBatch } from './stepParts.ts';

/** Bytes that are read back at once. */
const READ_BYTES = 64 * 2 ** 20;

/** A linked call, as it is run. */
interface Run {
  readonly linked: LinkedCall;
  readonly call: StepCall;
  readonly fn: FunctionDecl;
}

const isFloat = ({ dtype = 'f32' }: SlotDecl): boolean => dtype === 'f32';

/** The first element of a slot that is not finite, with its place; null where all are. */
async function brokenElement({ device, buffers, sizes }: EngineParts, { call, fn }: Run, slot: number): Promise<string | null> {
  const address = at(call.slots, slot);
  if (address < 0) return null;
  const { extent } = at(fn.slots, slot);
  const own = { ...sizes, ...call.sizes };
  const bytes = extentBytes(extent, own);
  for (let from = 0; from < bytes; from += READ_BYTES) {
    const data = new Float32Array(await device.read(bufferAt(buffers, address), offsetOf(address) + from, Math.min(READ_BYTES, bytes - from)));
    const index = notFinite(data);
    if (index < 0) continue;
    return elementText(data, index, extentShape(extent, own), from / 4);
  }
  return null;
}

/** What a result of a call is called: the model's value, or what it is the gradient of. */
function resultName({ program }: EngineParts, { linked, call, fn }: Run, result: number): string {
  const decl: CallDecl = at(program.calls, linked.call);
  const { role, slot } = at(fn.results, result);
  if (role !== 'grad') return at(fn.slots, slot).name;
  const of = decl.backwards.find((b) => b.function === call.fn)?.gradientOf[result];
  const argument = of === undefined ? undefined : decl.arguments[of];
  if (argument?.kind === 'param') return at(program.params, argument.param).name;
  if (argument?.kind === 'value') return at(program.values, argument.value).name;
  return at(fn.slots, slot).name;
}

/** The first result of a call that is not finite. Sums of cotangents are left to the function that reads them. */
async function brokenResult(engine: EngineParts, run: Run): Promise<Pick<NonFiniteValue, 'kind' | 'name' | 'element'> | null> {
  if (run.linked.phase === 'sum') return null;
  for (const [k, { role, slot }] of run.fn.results.entries()) {
    if ((role !== 'value' && role !== 'grad') || !isFloat(at(run.fn.slots, slot))) continue;
    const element = await brokenElement(engine, run, slot);
    if (element !== null) return { kind: role === 'grad' ? 'gradient' : 'result', name: resultName(engine, run, k), element };
  }
  return null;
}

/** The first weight of a call that is not finite. */
async function brokenWeight({ program, params }: EngineParts, { linked }: Run): Promise<NonFiniteValue | null> {
  const { readPieces } = lastingValues(params);
  for (const argument of at(program.calls, linked.call).arguments) {
    if (argument.kind !== 'param') continue;
    const { name, shape } = at(program.params, argument.param);
    let before = 0;
    for await (const piece of readPieces(argument.param)) {
      const index = notFinite(piece);
      if (index >= 0) return { kind: 'weight', name, element: elementText(piece, index, shape, before), made: null };
      before += piece.length;
    }
  }
  return null;
}

/** An input of the micro-batch that is not finite. */
function brokenInput({ program, sizes }: EngineParts, micro: MicroBatch): NonFiniteValue | null {
  const own = { ...sizes, ...micro.sizes };
  for (const { name, dtype, extent } of program.inputs) {
    const data = micro.inputs[name];
    const index = data && dtype === 'f32' ? notFinite(data) : -1;
    if (!data || index < 0) continue;
    return { kind: 'input', name, element: elementText(data, index, extentShape(extent, own)), made: null };
  }
  return null;
}

/** Runs a call, and with `dispatch` that dispatch of it alone. */
function submit({ device, encoder }: EngineParts, { call }: Run, dispatch?: number): void {
  const recording = device.record();
  encoder.fill([call]);
  if (dispatch === undefined) encoder.encode(recording, [call], 0, 1);
  else encoder.encodeOne(recording, call, dispatch);
  device.submit(recording);
}

/** The first value within a call that is not finite; what it is given was made anew before. */
async function firstWithin(engine: EngineParts, run: Run): Promise<NonNullable<NonFiniteValue['made']>['first']> {
  const given = new Set(run.fn.params.map(({ slot }) => slot));
  for (const [d, { slots }] of run.fn.dispatches.entries()) {
    submit(engine, run, d);
    for (const slot of new Set(slots)) {
      const { name, loc = null, ...decl } = at(run.fn.slots, slot);
      if (given.has(slot) || !isFloat({ name, ...decl })) continue;
      const element = await brokenElement(engine, run, slot);
      if (element !== null) return { name, element, loc };
    }
  }
  return null;
}

/** See `Engine.findNonFinite`. @throws EbbError as `checkInputs` */
export async function findNonFinite(engine: EngineParts, micro: MicroBatch): Promise<NonFiniteValue | null> {
  const { device, program, linker, strides } = engine;
  checkInputs(program, micro.sizes, micro.inputs);
  const given = brokenInput(engine, micro);
  if (given) return given;
  const linked = linker.link(micro.pattern, { forwardOnly: micro.forwardOnly ?? false });
  const runs = linked.calls.map((call): Run => ({ linked: call, call: stepCall(program, call, micro, 0, strides), fn: at(program.functions, call.fn) }));
  const begin = (): void => {
    writeInputs(engine, micro, 0);
    const clears = device.record();
    clearGradients(
      clears,
      engine,
      linked.calls.flatMap(({ zeroed }) => zeroed),
    );
    device.submit(clears);
  };
  begin();
  for (const [i, run] of runs.entries()) {
    submit(engine, run);
    const found = await brokenResult(engine, run);
    if (!found) continue;
    const weight = await brokenWeight(engine, run);
    if (weight) return weight;
    begin();
    for (const before of runs.slice(0, i)) submit(engine, before);
    const direction = run.linked.phase === 'backward' ? 'backward' : 'forward';
    return { ...found, made: { site: run.call.site, direction, first: await firstWithin(engine, run) } };
  }
  return null;
}
