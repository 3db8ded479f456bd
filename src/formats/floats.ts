/** @file IEEE half, bfloat16 and integer bytes widened to the arrays Ebb computes with; all little endian. */

import { at, EbbError } from '../errors.ts';

// The values of all 65536 bit patterns are constants. They are made at their first use, since most processes read no f16.
let halves: Float32Array | undefined;

/** The value of an IEEE 754 binary16 bit pattern. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => halfToFloat(bits));
  return halves;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A copy whose start is aligned for typed arrays, only where the bytes are not aligned already. */
function aligned(bytes: Uint8Array, to: number): Uint8Array {
  return bytes.byteOffset % to === 0 ? bytes : bytes.slice();
}

/** f32 bytes as floats, without a copy where they are aligned. */
export function f32FromBytes(bytes: Uint8Array): Float32Array {
  const b = aligned(bytes, 4);
  return new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4);
}

/** Values of binary16 bit patterns. */
export function f16ToF32(bytes: Uint8Array): Float32Array {
  const table = halfTable();
  const b = aligned(bytes, 2);
  const source = new Uint16Array(b.buffer, b.byteOffset, b.byteLength / 2);
  const result = new Float32Array(source.length);
  for (let i = 0; i < source.length; i++) result[i] = at(table, at(source, i));
  return result;
}

/** Values of bfloat16 bit patterns, which are the upper halves of f32's. */
export function bf16ToF32(bytes: Uint8Array): Float32Array {
  const b = aligned(bytes, 2);
  const source = new Uint16Array(b.buffer, b.byteOffset, b.byteLength / 2);
  const result = new Uint32Array(source.length);
  for (let i = 0; i < source.length; i++) result[i] = at(source, i) << 16;
  return new Float32Array(result.buffer);
}

/** f64 values, each rounded to f32. */
export function f64ToF32(bytes: Uint8Array): Float32Array {
  const from = view(bytes);
  return Float32Array.from({ length: bytes.byteLength / 8 }, (_, i) => from.getFloat64(8 * i, true));
}

/** Nearest binary16 bit patterns, ties to even; beyond 65504 infinity. */
export function f32ToF16(values: Float32Array): Uint8Array<ArrayBuffer> {
  const bits = new Uint32Array(1);
  const value = new Float32Array(bits.buffer);
  const result = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    value[0] = at(values, i);
    const x = at(bits, 0);
    const sign = (x >>> 16) & 0x8000;
    const magnitude = x & 0x7fffffff;
    if (magnitude >= 0x7f800000) result[i] = sign | 0x7c00 | (magnitude > 0x7f800000 ? 0x200 : 0);
    else if (magnitude >= 0x477ff000) result[i] = sign | 0x7c00;
    else if (magnitude < 0x38800000) result[i] = sign | roundEven(Math.abs(value[0]) * 2 ** 24);
    else result[i] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  return new Uint8Array(result.buffer);
}

function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** Nearest bfloat16 bit patterns, ties to even. */
export function f32ToBf16(values: Float32Array): Uint8Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const result = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const x = at(bits, i);
    result[i] = (x & 0x7fffffff) > 0x7f800000 ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(result.buffer);
}

/** i32 bytes as integers, without a copy where they are aligned. */
export function i32FromBytes(bytes: Uint8Array): Int32Array {
  const b = aligned(bytes, 4);
  return new Int32Array(b.buffer, b.byteOffset, b.byteLength / 4);
}

/** 64-bit integers as 32-bit ones. @throws EbbError for a value that does not fit, which begins with `where` */
export function i64ToI32(where: string, bytes: Uint8Array): Int32Array {
  const from = view(bytes);
  return Int32Array.from({ length: bytes.byteLength / 8 }, (_, i) => {
    const low = from.getInt32(8 * i, true);
    if (from.getInt32(8 * i + 4, true) !== low >> 31) {
      throw new EbbError(`${where}: element ${i} is ${from.getBigInt64(8 * i, true)}, expected an integer of 32 bits`);
    }
    return low;
  });
}
