/** @file Parameters, gradients and moments by the parameter's index: written from the host, read back, zeroed. */

import { EbbError } from '../errors.ts';
import { type Address, address, bufferOf, offsetOf } from './address.ts';
import { readFloats } from './buffers.ts';
import type { Program } from './program.ts';
import { PAGE_KINDS, type StoragePlan } from './storage.ts';

/** Most bytes of several gradients that are read at once. */
const READ_BYTES = 64 * 2 ** 20;

/** The methods of an engine over parameters. @param table device buffers by id */
export function lastingValues(device: GPUDevice, program: Program, { placement }: StoragePlan, table: readonly (GPUBuffer | undefined)[]) {
  const whole = (bytes: number): number => Math.ceil(bytes / 4) * 4;
  const bytesOf = (param: number): number => program.params[param]?.bytes ?? 0;
  const placeOf = (param: number, kind: number): Address => {
    const at = placement.params[param] ?? -1;
    return kind === 0 ? at : address(bufferOf(at) + kind, offsetOf(at));
  };
  const write = (param: number, kind: number, data: ArrayBufferView): void => {
    // a write of another length would end in the neighbour
    if (data.byteLength !== bytesOf(param))
      throw new EbbError(`parameter ${program.params[param]?.name ?? 'it'} was given ${data.byteLength} bytes, it takes ${bytesOf(param)}`);
    const { buffer, byteOffset, byteLength } = data.byteLength % 4 === 0 ? data : padded(data, whole(data.byteLength));
    const at = placeOf(param, kind);
    device.queue.writeBuffer(table[bufferOf(at)] as GPUBuffer, offsetOf(at), buffer as ArrayBuffer, byteOffset, byteLength);
  };
  return {
    writeParam: (param: number, data: ArrayBufferView): void => write(param, 0, data),
    writeMoment: (param: number, kind: 'm' | 'v', data: Float32Array): void => write(param, PAGE_KINDS.indexOf(kind), data),
    readParam(param: number, kind: (typeof PAGE_KINDS)[number] = 'params'): Promise<Float32Array> {
      const at = placeOf(param, PAGE_KINDS.indexOf(kind));
      return readFloats(device, table[bufferOf(at)] as GPUBuffer, offsetOf(at), whole(bytesOf(param)));
    },
    async *readGradients(params: readonly number[]): AsyncGenerator<readonly [param: number, gradient: Float32Array]> {
      const placed = params
        .map((param) => ({ param, at: placeOf(param, PAGE_KINDS.indexOf('gradients')), bytes: whole(bytesOf(param)) }))
        .sort((a, b) => a.at - b.at);
      for (let first = 0; first < placed.length; ) {
        const from = placed[first]?.at ?? 0;
        const inReach = ({ at, bytes }: { readonly at: Address; readonly bytes: number }): boolean =>
          bufferOf(at) === bufferOf(from) && at + bytes - from <= READ_BYTES;
        const rest = placed.slice(first + 1).findIndex((p) => !inReach(p));
        const run = placed.slice(first, rest < 0 ? undefined : first + 1 + rest);
        const last = run.at(-1);
        const floats = await readFloats(device, table[bufferOf(from)] as GPUBuffer, offsetOf(from), last ? last.at + last.bytes - from : 0);
        for (const { param, at, bytes } of run) yield [param, floats.subarray((at - from) / 4, (at - from + bytes) / 4)];
        first += run.length;
      }
    },
    /** Encodes zeros over a parameter's gradient, if it has one. */
    clearGradient(encoder: GPUCommandEncoder, param: number): void {
      const at = placement.gradients[param];
      if (at !== null && at !== undefined) encoder.clearBuffer(table[bufferOf(at)] as GPUBuffer, offsetOf(at), whole(bytesOf(param)));
    },
  };
}

function padded(data: ArrayBufferView, bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  whole.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return whole;
}
