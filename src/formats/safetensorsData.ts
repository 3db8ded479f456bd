/** @file Tensors of safetensors files as numbers, and the header of a file to be written: bytes only, without Node. */

import { EbbError } from '../errors.ts';
import { bf16ToF32, f16ToF32, f32FromBytes, f64ToF32, i32FromBytes, i64ToI32 } from './floats.ts';
import { DTYPE_BITS, elementCount } from './safetensorsHeader.ts';

/** Bytes of F32, F16, BF16 or F64 as floats; `where` begins the error for another dtype. */
export function floatsOf(where: string, dtype: string, bytes: Uint8Array): Float32Array {
  if (dtype === 'F32') return f32FromBytes(bytes);
  if (dtype === 'F16') return f16ToF32(bytes);
  if (dtype === 'BF16') return bf16ToF32(bytes);
  if (dtype === 'F64') return f64ToF32(bytes);
  throw new EbbError(`${where} has dtype ${dtype}, expected F32, F16, BF16 or F64`);
}

/** Bytes of I32, I64, U8 or BOOL as 32-bit integers. */
export function intsOf(where: string, dtype: string, bytes: Uint8Array): Int32Array {
  if (dtype === 'I32') return i32FromBytes(bytes);
  if (dtype === 'I64') return i64ToI32(where, bytes);
  if (dtype === 'U8' || dtype === 'BOOL') return Int32Array.from(bytes);
  throw new EbbError(`${where} has dtype ${dtype}, expected I64 or I32`);
}

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: 'F32' | 'F16' | 'BF16' | 'I32' | 'I64';
  readonly shape: readonly number[];
  /** The bytes, or any typed array of them; a function is called when its turn to be written comes. */
  readonly data: ArrayBufferView | (() => ArrayBufferView);
}

/** The header of a file with these tensors one after the other, padded so that the data is aligned. */
export function headerBytes(entries: readonly SafetensorsEntry[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  let at = 0;
  for (const { name, dtype, shape } of entries) {
    const end = at + (elementCount(name, shape) * DTYPE_BITS[dtype]) / 8;
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
