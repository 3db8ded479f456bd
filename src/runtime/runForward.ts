/** @file Runs a program forward and reads what main returns. */

import { at } from '../errors.ts';
import { bufferAt } from './engineBuffers.ts';
import type { EngineParts } from './engineParts.ts';
import { checkInputs } from './inputs.ts';
import { address, BUFFERS } from './link/address.ts';
import { aligned } from './link/layout.ts';
import { extentBytes, type Sizes } from './program.ts';
import { writeInputs } from './runStep.ts';
import { type CallGiven, stepCall } from './stepCall.ts';
import type { MicroBatch } from './stepParts.ts';

/** Main's results as f32, one after the other. */
async function readResults({ device, program, buffers, sizes }: EngineParts, given: Sizes): Promise<Float32Array[]> {
  const results = bufferAt(buffers, address(BUFFERS.results, 0));
  let offset = 0;
  const out: Float32Array[] = [];
  for (const value of program.results) {
    const { extent } = at(program.values, value);
    const bytes = Math.ceil(extentBytes(extent, { ...sizes, ...given }) / 4) * 4;
    out.push(new Float32Array(await device.read(results, offset, bytes)));
    offset += aligned(extentBytes(extent, sizes));
  }
  return out;
}

/** Main's results for one micro-batch, with nothing kept for a backward. @throws EbbError as `checkInputs` */
export async function runForward(engine: EngineParts, micro: CallGiven & Pick<MicroBatch, 'inputs'>): Promise<Float32Array[]> {
  const { device, program, linker, encoder, strides } = engine;
  checkInputs(program, micro.sizes, micro.inputs);
  writeInputs(engine, micro, 0);
  const calls = linker.link(new Map(), { forwardOnly: true }).calls.map((call) => stepCall(program, call, micro, 0, strides));
  const recording = device.record();
  encoder.fill(calls);
  encoder.encode(recording, calls, 0, calls.length);
  device.submit(recording);
  return readResults(engine, micro.sizes);
}
