/** @file Parameters, gradients and moments by the parameter's index: written from the host, read back, zeroed. */

import { EbbError } from '../errors.ts';
import { BLOCKS, type BlockType, dequantise } from '../formats/ggmlBlocks.ts';
import { type Piece, piecesOf } from '../formats/pieces.ts';
import { readFloats } from './buffers.ts';
import { type Address, address, bufferOf, offsetOf } from './link/address.ts';
import type { ParamInfo, Program } from './program.ts';
import { PAGE_KINDS, type StoragePlan } from './storage.ts';

/** Most bytes that are read from the device at once, of several gradients and of a parameter in pieces. */
const READ_BYTES = 64 * 2 ** 20;

/** What an engine keeps longer than a step, by the parameter's index. */
export interface LastingValues {
  /**
   * Writes a parameter as it is stored: all its bytes, or, where `offset` is given, those from that byte on. A piece starts at a multiple
   * of 4 bytes, and only the last one may end elsewhere.
   * @throws EbbError for another number of bytes than the parameter takes, and for a piece that does not lie in it
   */
  writeParam(param: number, data: ArrayBufferView, offset?: number): void;
  /** Writes a moment of a trainable parameter, as `writeParam` writes the parameter. @throws EbbError as `writeParam` */
  writeMoment(param: number, kind: 'm' | 'v', data: ArrayBufferView, offset?: number): void;
  /** Waits until everything that was written is on the device: until then the device's queue holds copies of it in the host's memory. */
  uploaded(): Promise<void>;
  /** A parameter in f32, widened from the dtype it is stored in; or its gradient or moment. Waits for the device. */
  readParam(param: number, kind?: (typeof PAGE_KINDS)[number]): Promise<Float32Array>;
  /** What `readParam` reads, from the first element to the last in pieces of at most 64 MiB on the device. Waits for the device. */
  readPieces(param: number, kind?: (typeof PAGE_KINDS)[number]): AsyncIterable<Float32Array>;
  /** Gradients of trainable parameters as they are now, neighbours in one read, in the order in which they lie. Waits for the device. */
  readGradients(params: readonly number[]): AsyncIterable<readonly [param: number, gradient: Float32Array]>;
}

const wholeWords = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/** How a parameter's dtype is laid out. @throws EbbError for one that holds no weights */
function storedAs({ name, dtype }: Pick<ParamInfo, 'name' | 'dtype'>): BlockType {
  if (Object.hasOwn(BLOCKS, dtype)) return dtype as BlockType;
  throw new EbbError(`parameter ${name} is stored as ${dtype}, expected one of ${Object.keys(BLOCKS).join(', ')}`);
}

/** Bytes of a parameter's elements: on the device, where it takes whole words, up to 3 more follow. */
export function storedBytes(p: Pick<ParamInfo, 'name' | 'dtype' | 'shape'>): number {
  const { blockSize, bytesPerBlock } = BLOCKS[storedAs(p)];
  return (p.shape.reduce((a, b) => a * b, 1) / blockSize) * bytesPerBlock;
}

/** The methods of an engine over parameters. @param table device buffers by id */
export function lastingValues(
  device: Pick<GPUDevice, 'queue' | 'createBuffer' | 'createCommandEncoder'>,
  program: Pick<Program, 'params'>,
  { placement }: Pick<StoragePlan, 'placement'>,
  table: readonly (GPUBuffer | undefined)[],
): LastingValues & { readonly clearGradient: (encoder: GPUCommandEncoder, param: number) => void } {
  const infoOf = (param: number): ParamInfo => {
    const info = program.params[param];
    if (!info) throw new EbbError(`internal: the program has no parameter ${param}`);
    return info;
  };
  const placeOf = (param: number, kind: number): Address => {
    const at = placement.params[param] ?? -1;
    return kind === 0 ? at : address(bufferOf(at) + kind, offsetOf(at));
  };
  const bufferAt = (at: Address): GPUBuffer => {
    const buffer = table[bufferOf(at)];
    if (!buffer) throw new EbbError('internal: the engine was made without what is asked for');
    return buffer;
  };
  const write = (param: number, kind: number, data: ArrayBufferView, offset: number | undefined): void => {
    const info = infoOf(param);
    const bytes = storedBytes(info);
    // a write of another length would end in the neighbour, or leave what was there before
    if (offset === undefined && data.byteLength !== bytes) throw new EbbError(`parameter ${info.name} was given ${data.byteLength} bytes, it takes ${bytes}`);
    const from = offset ?? 0;
    const end = from + data.byteLength;
    if (from % 4 !== 0 || end > bytes || (end < bytes && end % 4 !== 0))
      throw new EbbError(`parameter ${info.name} was given bytes ${from} to ${end}, it takes whole words out of ${bytes} bytes`);
    if (data.byteLength === 0) return;
    const { buffer, byteOffset, byteLength } = data.byteLength % 4 === 0 ? data : padded(data);
    const at = placeOf(param, kind);
    device.queue.writeBuffer(bufferAt(at), offsetOf(at) + from, buffer as ArrayBuffer, byteOffset, byteLength);
  };
  const read = async (param: number, kind: (typeof PAGE_KINDS)[number], { offset, length }: Piece): Promise<Float32Array> => {
    const stored = storedAs(infoOf(param));
    const at = placeOf(param, PAGE_KINDS.indexOf(kind));
    const words = await readFloats(device, bufferAt(at), offsetOf(at) + offset, wholeWords(length));
    return stored === 'f32' ? words : dequantise(stored, new Uint8Array(words.buffer, 0, length));
  };
  return {
    writeParam: (param, data, offset) => write(param, 0, data, offset),
    writeMoment: (param, kind, data, offset) => write(param, PAGE_KINDS.indexOf(kind), data, offset),
    async uploaded() {
      // writes wait for a submission
      device.queue.submit([]);
      await device.queue.onSubmittedWorkDone();
    },
    readParam: (param, kind = 'params') => read(param, kind, { offset: 0, length: storedBytes(infoOf(param)) }),
    async *readPieces(param, kind = 'params') {
      const info = infoOf(param);
      for (const piece of piecesOf(storedBytes(info), BLOCKS[storedAs(info)].bytesPerBlock, READ_BYTES)) yield await read(param, kind, piece);
    },
    async *readGradients(params) {
      const placed = params
        .map((param) => ({ param, at: placeOf(param, PAGE_KINDS.indexOf('gradients')), bytes: storedBytes(infoOf(param)) }))
        .sort((a, b) => a.at - b.at);
      for (let first = 0; first < placed.length; ) {
        const from = placed[first]?.at ?? 0;
        const inReach = ({ at, bytes }: { readonly at: Address; readonly bytes: number }): boolean =>
          bufferOf(at) === bufferOf(from) && at + bytes - from <= READ_BYTES;
        const rest = placed.slice(first + 1).findIndex((p) => !inReach(p));
        const run = placed.slice(first, rest < 0 ? undefined : first + 1 + rest);
        const last = run.at(-1);
        const floats = await readFloats(device, bufferAt(from), offsetOf(from), last ? last.at + last.bytes - from : 0);
        for (const { param, at, bytes } of run) yield [param, floats.subarray((at - from) / 4, (at - from + bytes) / 4)];
        first += run.length;
      }
    },
    /** Encodes zeros over a parameter's gradient, if it has one. */
    clearGradient(encoder, param) {
      const at = placement.gradients[param];
      if (at !== null && at !== undefined) encoder.clearBuffer(bufferAt(at), offsetOf(at), wholeWords(storedBytes(infoOf(param))));
    },
  };
}

/** The bytes with zeros behind them, up to a whole word. */
function padded(data: ArrayBufferView): Uint8Array {
  const whole = new Uint8Array(wholeWords(data.byteLength));
  whole.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return whole;
}
