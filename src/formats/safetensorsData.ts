/** @file Tensors of safetensors files as numbers, and the header of a file to be written: bytes only, without Node. */

import { EbbError } from '../errors.ts';
import { bf16ToF32, f16ToF32, f32FromBytes, f64ToF32, i32FromBytes, i64ToI32 } from './floats.ts';
import { DTYPE_BITS, elementCount } from './safetensorsHeader.ts';

const FLOATS: Readonly<Record<string, (bytes: Uint8Array) => Float32Array>> = { F32: f32FromBytes, F16: f16ToF32, BF16: bf16ToF32, F64: f64ToF32 };

/** What makes floats of the bytes of a dtype. @throws EbbError that begins with `where`, for a dtype of other things */
export function floatReader(where: string, dtype: string): (bytes: Uint8Array) => Float32Array {
  const found = Object.hasOwn(FLOATS, dtype) ? FLOATS[dtype] : undefined;
  if (!found) throw new EbbError(`${where} has dtype ${dtype}, expected F32, F16, BF16 or F64`);
  return found;
}

/** Bytes of F32, F16, BF16 or F64 as floats; `where` begins the error for another dtype. */
export function floatsOf(where: string, dtype: string, bytes: Uint8Array): Float32Array {
  return floatReader(where, dtype)(bytes);
}

/** Bytes of I32, I64, U8 or BOOL as 32-bit integers. */
export function intsOf(where: string, dtype: string, bytes: Uint8Array): Int32Array {
  if (dtype === 'I32') return i32FromBytes(bytes);
  if (dtype === 'I64') return i64ToI32(where, bytes);
  if (dtype === 'U8' || dtype === 'BOOL') return Int32Array.from(bytes);
  throw new EbbError(`${where} has dtype ${dtype}, expected I64 or I32`);
}

/** A tensor to be written, without what it holds. */
export interface EntryHeader {
  readonly name: string;
  readonly dtype: 'F32' | 'F16' | 'BF16' | 'I32' | 'I64';
  readonly shape: readonly number[];
}

export interface SafetensorsEntry extends EntryHeader {
  /** The bytes, or any typed array of them; a function is called when its turn to be written comes. */
  readonly data: ArrayBufferView | (() => ArrayBufferView);
}

/** A tensor to be written from first byte to last, each piece made when its turn comes. */
export interface StreamedEntry extends EntryHeader {
  readonly pieces: () => Iterable<ArrayBufferView> | AsyncIterable<ArrayBufferView>;
}

/** Bytes of a tensor in a file. */
export function entryBytes({ name, dtype, shape }: EntryHeader): number {
  return (elementCount(name, shape) * DTYPE_BITS[dtype]) / 8;
}

/** The header of a file with these tensors one after the other, padded so that the data is aligned. */
export function headerBytes(entries: readonly EntryHeader[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  let at = 0;
  for (const entry of entries) {
    const { name, dtype, shape } = entry;
    const end = at + entryBytes(entry);
    header.push([name, { dtype, shape, data_offsets: [at, end] }]);
    at = end;
  }
  const text = `{${header.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
  const body = new TextEncoder().encode(text);
  // Padded with spaces to a multiple of 8, so that the data is aligned.
  const padded = new Uint8Array(8 + Math.ceil(body.length / 8) * 8).fill(0x20);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  padded.set(body, 8);
  return padded;
}
