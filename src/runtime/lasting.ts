/** @file Parameters, gradients and moments by the parameter's index: written from the host, read back, zeroed. */

import { at, EbbError, invariant } from '../errors.ts';
import { BLOCKS, type BlockType, dequantise } from '../formats/ggmlBlocks.ts';
import { type Piece, piecesOf } from '../formats/pieces.ts';
import type { Device, DeviceBuffer, Memory } from './device.ts';
import { bufferAt } from './engineBuffers.ts';
import { type Address, address, bufferOf, offsetOf } from './link/address.ts';
import type { Placement } from './link/linked.ts';
import type { ParamInfo, Program } from './program.ts';
import { PAGE_KINDS, type PageKind } from './storage.ts';

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
  readParam(param: number, kind?: PageKind): Promise<Float32Array>;
  /** What `readParam` reads, from the first element to the last in pieces of at most 64 MiB on the device. Waits for the device. */
  readPieces(param: number, kind?: PageKind): AsyncIterable<Float32Array>;
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

/** Where an engine's parameters lie on its device. */
export interface ParamMemory {
  readonly device: Pick<Device, 'write' | 'read' | 'done'>;
  readonly params: Program['params'];
  readonly placement: Pick<Placement, 'params' | 'gradients'>;
  readonly buffers: Memory['buffers'];
}

function infoOf({ params }: Pick<ParamMemory, 'params'>, param: number): ParamInfo {
  const info = params[param];
  invariant(info, `the program has no parameter ${param}`);
  return info;
}

/** The address of a parameter, its gradient or a moment, which lie at the same offset of neighbouring buffers. */
function placeOf({ placement }: Pick<ParamMemory, 'placement'>, param: number, kind: PageKind): Address {
  const own = at(placement.params, param);
  return address(bufferOf(own) + PAGE_KINDS.indexOf(kind), offsetOf(own));
}

/** Where a parameter's gradient lies, and the whole words it takes; null for a parameter that is not trained. */
export function gradientRange(memory: Omit<ParamMemory, 'device'>, param: number): { buffer: DeviceBuffer; offset: number; bytes: number } | null {
  const place = at(memory.placement.gradients, param);
  if (place === null) return null;
  return { buffer: bufferAt(memory, place), offset: offsetOf(place), bytes: wholeWords(storedBytes(infoOf(memory, param))) };
}

/** @throws EbbError for another number of bytes than the parameter takes, and for a piece that does not lie in it */
function write(memory: ParamMemory, param: number, kind: PageKind, data: ArrayBufferView, offset: number | undefined): void {
  const info = infoOf(memory, param);
  const bytes = storedBytes(info);
  // A write of another length would end in the neighbour, or leave what was there before.
  if (offset === undefined && data.byteLength !== bytes) throw new EbbError(`parameter ${info.name} was given ${data.byteLength} bytes, it takes ${bytes}`);
  const from = offset ?? 0;
  const end = from + data.byteLength;
  if (from % 4 !== 0 || end > bytes || (end < bytes && end % 4 !== 0))
    throw new EbbError(`parameter ${info.name} was given bytes ${from} to ${end}, it takes whole words out of ${bytes} bytes`);
  if (data.byteLength === 0) return;
  const place = placeOf(memory, param, kind);
  memory.device.write(bufferAt(memory, place), offsetOf(place) + from, data.byteLength % 4 === 0 ? data : padded(data));
}

/** Bytes [offset, offset + length) of a parameter, as f32. */
async function read(memory: ParamMemory, param: number, kind: PageKind, { offset, length }: Piece): Promise<Float32Array> {
  const stored = storedAs(infoOf(memory, param));
  const place = placeOf(memory, param, kind);
  const bytes = await memory.device.read(bufferAt(memory, place), offsetOf(place) + offset, wholeWords(length));
  return stored === 'f32' ? new Float32Array(bytes) : dequantise(stored, new Uint8Array(bytes, 0, length));
}

/** A gradient, by where it lies. */
interface PlacedGradient {
  readonly param: number;
  readonly place: Address;
  readonly bytes: number;
}

/** Gradients in the order in which they lie, in runs that are read at once. */
function* runsOf(memory: ParamMemory, params: readonly number[]): Generator<readonly PlacedGradient[]> {
  const placed = params
    .map((param): PlacedGradient => ({ param, place: placeOf(memory, param, 'gradients'), bytes: storedBytes(infoOf(memory, param)) }))
    .sort((a, b) => a.place - b.place);
  let run: PlacedGradient[] = [];
  for (const next of placed) {
    const [first] = run;
    if (first && (bufferOf(next.place) !== bufferOf(first.place) || next.place + next.bytes - first.place > READ_BYTES)) {
      yield run;
      run = [];
    }
    run.push(next);
  }
  if (run.length > 0) yield run;
}

/** The methods of an engine over parameters. */
export function lastingValues(memory: ParamMemory): LastingValues {
  const { device } = memory;
  return {
    writeParam: (param, data, offset) => write(memory, param, 'params', data, offset),
    writeMoment: (param, kind, data, offset) => write(memory, param, kind, data, offset),
    uploaded: () => device.done(),
    readParam: (param, kind = 'params') => read(memory, param, kind, { offset: 0, length: storedBytes(infoOf(memory, param)) }),
    async *readPieces(param, kind = 'params') {
      const info = infoOf(memory, param);
      for (const piece of piecesOf(storedBytes(info), BLOCKS[storedAs(info)].bytesPerBlock, READ_BYTES)) yield await read(memory, param, kind, piece);
    },
    async *readGradients(params) {
      for (const run of runsOf(memory, params)) {
        const [first, last] = [at(run, 0).place, at(run, -1)];
        const floats = new Float32Array(await device.read(bufferAt(memory, first), offsetOf(first), last.place + last.bytes - first));
        for (const { param, place, bytes } of run) yield [param, floats.subarray((place - first) / 4, (place - first + bytes) / 4)];
      }
    },
  };
}

/** The bytes with zeros behind them, up to a whole word. */
function padded(data: ArrayBufferView): Uint8Array {
  const whole = new Uint8Array(wholeWords(data.byteLength));
  whole.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return whole;
}
