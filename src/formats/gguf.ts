/** @file A strict GGUF v2/v3 reader: metadata and tensor infos from untrusted bytes, without Node (format: ggml/docs/gguf.md). */

import { EbbError } from '../errors.ts';
import { type ByteSource, decodeUtf8, show } from './bytes.ts';
import { refuseCut } from './cut.ts';

export type GgufValue = boolean | number | bigint | string | readonly GgufValue[];

export interface GgufTensor {
  readonly name: string;
  /** ggml's name of the type, e.g. "Q4_K". */
  readonly type: string;
  /** As in the file: the fastest-moving dimension first. */
  readonly dims: readonly number[];
  /** From the start of the file, in bytes. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface Gguf {
  readonly file: string;
  readonly version: number;
  readonly alignment: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** ggml type number → name, values per block, bytes per block. */
const TENSOR_TYPES: ReadonlyMap<number, readonly [string, number, number]> = new Map([
  [0, ['F32', 1, 4]],
  [1, ['F16', 1, 2]],
  [2, ['Q4_0', 32, 18]],
  [3, ['Q4_1', 32, 20]],
  [6, ['Q5_0', 32, 22]],
  [7, ['Q5_1', 32, 24]],
  [8, ['Q8_0', 32, 34]],
  [10, ['Q2_K', 256, 84]],
  [11, ['Q3_K', 256, 110]],
  [12, ['Q4_K', 256, 144]],
  [13, ['Q5_K', 256, 176]],
  [14, ['Q6_K', 256, 210]],
  [15, ['Q8_K', 256, 292]],
  [16, ['IQ2_XXS', 256, 66]],
  [17, ['IQ2_XS', 256, 74]],
  [18, ['IQ3_XXS', 256, 98]],
  [19, ['IQ1_S', 256, 50]],
  [20, ['IQ4_NL', 32, 18]],
  [21, ['IQ3_S', 256, 110]],
  [22, ['IQ2_S', 256, 82]],
  [23, ['IQ4_XS', 256, 136]],
  [24, ['I8', 1, 1]],
  [25, ['I16', 1, 2]],
  [26, ['I32', 1, 4]],
  [27, ['I64', 1, 8]],
  [28, ['F64', 1, 8]],
  [29, ['IQ1_M', 256, 56]],
  [30, ['BF16', 1, 2]],
  [34, ['TQ1_0', 256, 54]],
  [35, ['TQ2_0', 256, 66]],
  [39, ['MXFP4', 32, 17]],
]);

const MAX_NAME = 65535;
const MAX_ARRAY_DEPTH = 4;
const MAX_ARRAY = 1 << 23;
const WINDOW = 1 << 20;

/** A forward reader over a window of the source; every take is checked against the file's size before anything is allocated. */
function cursor(source: ByteSource) {
  let start = 0;
  let window = new Uint8Array(0);
  let at = 0;
  const need = (length: number, what: string): void => {
    if (length > source.size - at)
      throw new EbbError(`${source.name}: ${what} at byte ${at} needs ${length} bytes, but the file ends at ${source.size} (is it truncated?)`);
  };
  const take = (length: number, what: string): DataView => {
    need(length, what);
    if (at < start || at + length > start + window.length) {
      start = at;
      window = Uint8Array.from(source.read(at, Math.min(Math.max(length, WINDOW), source.size - at)));
    }
    const view = new DataView(window.buffer, at - start, length);
    at += length;
    return view;
  };
  /** A 64-bit count, refused where that many items of at least `least` bytes cannot be in the rest of the file. */
  const count = (what: string, least: number): number => {
    const value = take(8, what).getBigUint64(0, true);
    if (value * BigInt(least) > BigInt(source.size - at)) {
      throw new EbbError(`${source.name}: ${what} is ${value}, more than the ${source.size - at} bytes left in the file can hold`);
    }
    return Number(value);
  };
  const text = (what: string): string => {
    const view = take(count(`length of ${what}`, 1), what);
    return decodeUtf8(`${source.name}: ${what}`, new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  };
  return { take, count, text, position: () => at };
}

type Cursor = ReturnType<typeof cursor>;

const SCALARS: Readonly<Record<number, readonly [number, (v: DataView) => boolean | number | bigint]>> = {
  0: [1, (v) => v.getUint8(0)],
  1: [1, (v) => v.getInt8(0)],
  2: [2, (v) => v.getUint16(0, true)],
  3: [2, (v) => v.getInt16(0, true)],
  4: [4, (v) => v.getUint32(0, true)],
  5: [4, (v) => v.getInt32(0, true)],
  6: [4, (v) => v.getFloat32(0, true)],
  7: [1, (v) => v.getUint8(0) !== 0],
  10: [8, (v) => narrow(v.getBigUint64(0, true))],
  11: [8, (v) => narrow(v.getBigInt64(0, true))],
  12: [8, (v) => v.getFloat64(0, true)],
};

function narrow(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function readValue(file: string, from: Cursor, key: string, type: number, depth: number): GgufValue {
  const scalar = SCALARS[type];
  if (scalar) return scalar[1](from.take(scalar[0], key));
  if (type === 8) return from.text(key);
  if (type !== 9) throw new EbbError(`${file}: ${key} has value type ${type}, expected 0 to 12`);
  if (depth >= MAX_ARRAY_DEPTH) throw new EbbError(`${file}: ${key} is an array nested more than ${MAX_ARRAY_DEPTH} deep`);
  const element = from.take(4, key).getUint32(0, true);
  const least = SCALARS[element]?.[0] ?? (element === 9 ? 12 : 8);
  const length = from.count(`array length of ${key}`, least);
  if (length > MAX_ARRAY) throw new EbbError(`${file}: array length of ${key} is ${length}, expected at most ${MAX_ARRAY}`);
  const result: GgufValue[] = [];
  for (let i = 0; i < length; i++) result.push(readValue(file, from, key, element, depth + 1));
  return result;
}

function readMetadata(file: string, from: Cursor, count: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = from.text(`metadata key ${i}`);
    if (key === '' || key.length > MAX_NAME) throw new EbbError(`${file}: metadata key ${i} is ${show(key)}, expected 1 to ${MAX_NAME} characters`);
    if (metadata.has(key)) throw new EbbError(`${file}: metadata key ${show(key)} occurs twice`);
    metadata.set(key, readValue(file, from, key, from.take(4, `type of ${key}`).getUint32(0, true), 0));
  }
  return metadata;
}

function readDims(where: string, from: Cursor): number[] {
  const rank = from.take(4, where).getUint32(0, true);
  if (rank > 4) throw new EbbError(`${where} has ${rank} dimensions, expected at most 4`);
  const dims: number[] = [];
  for (let i = 0; i < rank; i++) {
    const dim = from.take(8, where).getBigUint64(0, true);
    if (dim > BigInt(Number.MAX_SAFE_INTEGER)) throw new EbbError(`${where} has a dimension of ${dim}, more than a file can hold`);
    dims.push(Number(dim));
  }
  return dims;
}

/** A tensor info with its offset still relative to the data section. */
function readTensorInfo(file: string, from: Cursor, index: number, alignment: number): GgufTensor {
  const name = from.text(`name of tensor ${index}`);
  const where = `${file}: tensor ${show(name)}`;
  const dims = readDims(where, from);
  const code = from.take(4, where).getUint32(0, true);
  const type = TENSOR_TYPES.get(code);
  if (!type) throw new EbbError(`${where} has type ${code}, which is no ggml type Ebb knows`);
  const [typeName, blockSize, bytesPerBlock] = type;
  // a tensor without dimensions is one value
  const [row = 1] = dims;
  if (row % blockSize !== 0)
    throw new EbbError(
      `${where} is ${typeName} with rows of ${row} values, expected a multiple of ${blockSize}; the header is damaged: fetch or write the file again`,
    );
  const byteLength = dims.slice(1).reduce((bytes, dim) => bytes * dim, (row / blockSize) * bytesPerBlock);
  if (byteLength > Number.MAX_SAFE_INTEGER) throw new EbbError(`${where} has dimensions ${dims.join(' × ')}, more than a file can hold`);
  const offset = from.take(8, where).getBigUint64(0, true);
  if (offset > BigInt(Number.MAX_SAFE_INTEGER) || Number(offset) % alignment !== 0) {
    throw new EbbError(`${where} has offset ${offset}, expected a multiple of the alignment, ${alignment}`);
  }
  return { name, type: typeName, dims, byteOffset: Number(offset), byteLength };
}

function readAlignment(file: string, metadata: ReadonlyMap<string, GgufValue>): number {
  const value = metadata.get('general.alignment') ?? 32;
  if (typeof value !== 'number' || value < 1 || value > 2 ** 30 || (value & (value - 1)) !== 0) {
    throw new EbbError(`${file}: general.alignment is ${show(value)}, expected a power of two`);
  }
  return value;
}

/** Moves the tensors to where their data is, and refuses those doubled or overlapping. */
function place(file: string, infos: readonly GgufTensor[], dataStart: number): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  for (const info of infos) {
    const byteOffset = dataStart + info.byteOffset;
    if (!Number.isSafeInteger(byteOffset + info.byteLength)) throw new EbbError(`${file}: tensor ${show(info.name)} ends beyond what a file can hold`);
    if (tensors.has(info.name)) throw new EbbError(`${file}: tensor ${show(info.name)} occurs twice`);
    tensors.set(info.name, { ...info, byteOffset });
  }
  let end = dataStart;
  for (const { name, byteOffset, byteLength } of [...tensors.values()].sort((a, b) => a.byteOffset - b.byteOffset)) {
    if (byteLength > 0 && byteOffset < end)
      throw new EbbError(`${file}: tensor ${show(name)} begins at byte ${byteOffset}, expected at least ${end}: it overlaps another`);
    end = Math.max(end, byteOffset + byteLength);
  }
  return tensors;
}

/**
 * Parses the whole header of a GGUF file whose data need not be there: the first megabytes of a file are enough. Nothing is allocated by a
 * declared count that the file's size does not bear out.
 * @throws EbbError that names the file and what in it is wrong
 */
export function readGgufHeader(source: ByteSource): Gguf {
  const { name: file, size } = source;
  const from = cursor(source);
  if (size < 24) throw new EbbError(`${file}: has ${size} bytes, expected a GGUF file of at least 24`);
  const magic = from.take(4, 'magic').getUint32(0, false);
  if (magic !== 0x47475546) throw new EbbError(`${file}: begins with 0x${magic.toString(16).padStart(8, '0')}, expected GGUF`);
  const version = from.take(4, 'version').getUint32(0, true);
  if (version !== 2 && version !== 3) throw new EbbError(`${file}: GGUF version is ${version}, expected 2 or 3 (little endian)`);
  // A tensor info takes at least 8 + 4 + 4 + 8 bytes, a key with its value at least 8 + 1 + 4 + 1.
  const tensorCount = from.count('tensor count', 24);
  const metadata = readMetadata(file, from, from.count('metadata count', 14));
  const alignment = readAlignment(file, metadata);
  const infos: GgufTensor[] = [];
  for (let i = 0; i < tensorCount; i++) infos.push(readTensorInfo(file, from, i, alignment));
  const dataStart = Math.ceil(from.position() / alignment) * alignment;
  return { file, version, alignment, metadata, tensors: place(file, infos, dataStart) };
}

/** Parses the header of a whole GGUF file. @throws EbbError as `readGgufHeader`, and where data is missing */
export function parseGguf(source: ByteSource): Gguf {
  const gguf = readGgufHeader(source);
  refuseCut(source.name, gguf.tensors.values(), source.size);
  return gguf;
}
