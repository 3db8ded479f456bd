/** @file The safetensors header: strict parsing, bytes to structure, without Node (format: huggingface/safetensors README). */

import { EbbError } from '../errors.ts';
import { type ByteSource, decodeUtf8, show } from './bytes.ts';
import { refuseCut } from './cut.ts';
import { isObject, type Json, type JsonObject, parseJsonObject } from './json.ts';

export interface TensorInfo {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** From the start of the file, in bytes. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** Bits of one element. */
export const DTYPE_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

export type SafetensorsDtype = keyof typeof DTYPE_BITS;

/** The reference library's bound on the header. */
const MAX_HEADER = 100_000_000;

function isDtype(value: Json | undefined): value is SafetensorsDtype {
  return typeof value === 'string' && Object.hasOwn(DTYPE_BITS, value);
}

/** Product of non-negative integers; throws beyond 2^53. */
export function elementCount(where: string, shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (count > Number.MAX_SAFE_INTEGER) throw new EbbError(`${where} has shape [${shape.join(', ')}], more elements than a file can hold`);
  }
  return shape.includes(0) ? 0 : count;
}

function integers(where: string, field: string, value: Json | undefined): number[] {
  const ok = Array.isArray(value) && value.every((x) => Number.isSafeInteger(x) && Number(x) >= 0);
  if (!ok) throw new EbbError(`${where}: ${field} is ${show(value)}, expected a list of whole numbers of at least 0`);
  return value.map(Number);
}

function tensorInfo(file: string, name: string, entry: Json, dataStart: number): TensorInfo {
  const where = `${file}: tensor ${show(name)}`;
  if (!isObject(entry)) throw new EbbError(`${where} is ${show(entry)} in the header, expected an object with dtype, shape and data_offsets`);
  const { dtype } = entry;
  if (!isDtype(dtype)) throw new EbbError(`${where}: dtype is ${show(dtype)}, expected one of ${Object.keys(DTYPE_BITS).join(', ')}`);
  const shape = integers(where, 'shape', entry['shape']);
  const [begin, end, ...rest] = integers(where, 'data_offsets', entry['data_offsets']);
  if (begin === undefined || end === undefined || rest.length > 0 || begin > end) {
    throw new EbbError(`${where}: data_offsets is ${show(entry['data_offsets'])}, expected [begin, end] with begin ≤ end`);
  }
  const bits = elementCount(where, shape) * DTYPE_BITS[dtype];
  if (bits !== 8 * (end - begin)) {
    throw new EbbError(`${where}: data_offsets span ${end - begin} bytes, expected ${bits / 8} for ${dtype} [${shape.join(', ')}]`);
  }
  if (!Number.isSafeInteger(dataStart + end)) throw new EbbError(`${where}: data_offsets end at ${end}, more than a file can hold`);
  return { name, dtype, shape, byteOffset: dataStart + begin, byteLength: end - begin };
}

function readMetadata(file: string, header: JsonObject): Record<string, string> {
  const raw = header['__metadata__'];
  if (raw === undefined || raw === null) return {};
  const bad = isObject(raw) ? Object.keys(raw).find((key) => typeof raw[key] !== 'string') : '';
  if (!isObject(raw) || bad !== undefined) {
    throw new EbbError(
      `${file}: __metadata__${bad ? `.${bad}` : ''} is ${show(isObject(raw) && bad ? raw[bad] : raw)}, expected ${bad ? 'a string' : 'an object of strings'}`,
    );
  }
  return raw as Record<string, string>;
}

/** Refuses overlaps, holes, and bytes behind the last tensor: the tensors' bytes must cover the rest of the file exactly, as far as it is there. */
function checkCoverage(file: string, tensors: readonly TensorInfo[], dataStart: number, fileSize: number): void {
  let at = dataStart;
  for (const { name, byteOffset, byteLength } of tensors) {
    if (byteOffset !== at) {
      const what = byteOffset < at ? 'overlaps the tensor before it' : 'leaves a hole after the tensor before it';
      throw new EbbError(`${file}: tensor ${show(name)} begins at byte ${byteOffset}, expected ${at}: it ${what}`);
    }
    at += byteLength;
  }
  if (at < fileSize) throw new EbbError(`${file}: tensors end at byte ${at}, expected ${fileSize}, the end of the file`);
}

/** Bytes at the front of a file that say how long its header is. */
export const PREFIX = 8;

/**
 * The byte at which a file's header ends and its data begins.
 * @param size bytes of the file
 * @param prefix its first `PREFIX` bytes
 * @throws EbbError where there is no whole header
 */
export function headerEnd(file: string, size: number, prefix: Uint8Array): number {
  if (size < PREFIX) throw new EbbError(`${file}: has ${size} bytes, expected a safetensors file of at least ${PREFIX}`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, PREFIX).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER)) throw new EbbError(`${file}: header length is ${length}, expected at most ${MAX_HEADER} (is it a safetensors file?)`);
  const end = PREFIX + Number(length);
  if (end > size) throw new EbbError(`${file}: header length is ${length}, but the file has ${size} bytes (is it truncated?)`);
  return end;
}

/**
 * Parses and checks the header of a safetensors file whose data need not be there: the first megabytes of a file are enough.
 * @throws EbbError that names the file and, where there is one, the tensor
 */
export function readSafetensorsHeader(source: ByteSource): SafetensorsHeader {
  const { name: file, size } = source;
  const dataStart = headerEnd(file, size, source.read(0, Math.min(size, PREFIX)));
  const header = parseJsonObject(`${file}: header`, decodeUtf8(`${file}: header`, source.read(PREFIX, dataStart - PREFIX)));
  const tensors = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => tensorInfo(file, name, entry, dataStart))
    .sort((a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  checkCoverage(file, tensors, dataStart, size);
  return { metadata: readMetadata(file, header), tensors: new Map(tensors.map((t) => [t.name, t])) };
}

/** Parses and checks the header of a whole safetensors file. @throws EbbError as `readSafetensorsHeader`, and where data is missing */
export function parseSafetensors(source: ByteSource): SafetensorsHeader {
  const header = readSafetensorsHeader(source);
  refuseCut(source.name, header.tensors.values(), source.size);
  return header;
}
