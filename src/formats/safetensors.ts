/** @file safetensors files on disk: opened by their header, tensors read one at a time, written aside and renamed. */

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { fileError, fileSource, readRange } from './files.ts';
import { bf16ToF32, f16ToF32, f32FromBytes, f64ToF32, i32FromBytes, i64ToI32 } from './floats.ts';
import { DTYPE_BITS, elementCount, parseSafetensors, type SafetensorsHeader, type TensorInfo } from './safetensorsHeader.ts';

export interface SafetensorsFile extends SafetensorsHeader {
  readonly path: string;
}

/** Reads and checks the header of `path`; no tensor is read. */
export function openSafetensors(path: string): SafetensorsFile {
  return { path, ...parseSafetensors(fileSource(path)) };
}

function find(file: SafetensorsFile, name: string): TensorInfo {
  const info = file.tensors.get(name);
  if (info) return info;
  const names = [...file.tensors.keys()];
  const some = names.slice(0, 5).join(', ');
  throw new EbbError(
    `${file.path}: tensor ${show(name)} is missing, found ${names.length === 0 ? 'none' : names.length > 5 ? `${some}, … (${names.length})` : some}`,
  );
}

/** The bytes of one tensor. */
export function readTensor(file: SafetensorsFile, name: string): Uint8Array<ArrayBuffer> {
  const { byteOffset, byteLength } = find(file, name);
  return readRange(file.path, byteOffset, byteLength);
}

/** A tensor of F32, F16, BF16 or F64 as floats. */
export function readFloats(file: SafetensorsFile, name: string): Float32Array {
  const { dtype } = find(file, name);
  const bytes = readTensor(file, name);
  if (dtype === 'F32') return f32FromBytes(bytes);
  if (dtype === 'F16') return f16ToF32(bytes);
  if (dtype === 'BF16') return bf16ToF32(bytes);
  if (dtype === 'F64') return f64ToF32(bytes);
  throw new EbbError(`${file.path}: tensor ${show(name)} has dtype ${dtype}, expected F32, F16, BF16 or F64`);
}

/** A tensor of I32, I64, U8 or BOOL as 32-bit integers. */
export function readInts(file: SafetensorsFile, name: string): Int32Array {
  const { dtype } = find(file, name);
  const bytes = readTensor(file, name);
  if (dtype === 'I32') return i32FromBytes(bytes);
  if (dtype === 'I64') return i64ToI32(`${file.path}: tensor ${show(name)}`, bytes);
  if (dtype === 'U8' || dtype === 'BOOL') return Int32Array.from(bytes);
  throw new EbbError(`${file.path}: tensor ${show(name)} has dtype ${dtype}, expected I64 or I32`);
}

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: 'F32' | 'F16' | 'BF16' | 'I32' | 'I64';
  readonly shape: readonly number[];
  /** The bytes, or any typed array of them; a function is called when its turn to be written comes. */
  readonly data: ArrayBufferView | (() => ArrayBufferView);
}

function headerBytes(entries: readonly SafetensorsEntry[], metadata: Readonly<Record<string, string>>): Uint8Array {
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

function writeAll(handle: number, view: ArrayBufferView): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at, Math.min(bytes.length - at, 1 << 30));
}

/** Writes through `write` into a file beside `path`, then renames it: what was at `path` stays whole until the new file is. */
export function writeAside(path: string, write: (handle: number) => void): void {
  const aside = `${path}.${process.pid}.partial`;
  try {
    const handle = openSync(aside, 'w');
    try {
      write(handle);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw fileError(path, error);
  }
}

/** Writes a text file aside and renames it. */
export function writeTextAside(path: string, text: string): void {
  writeAside(path, (handle) => writeAll(handle, new TextEncoder().encode(text)));
}

/** Writes a safetensors file with its tensors in the order given; one tensor is in memory at a time where `data` is a function. */
export function writeSafetensors(path: string, entries: Iterable<SafetensorsEntry>, metadata: Readonly<Record<string, string>> = { format: 'pt' }): void {
  const list = [...entries];
  const names = new Set<string>(['__metadata__']);
  for (const { name } of list) {
    if (names.has(name)) throw new EbbError(`${path}: tensor ${show(name)} would be written twice or has a reserved name`);
    names.add(name);
  }
  writeAside(path, (handle) => {
    writeAll(handle, headerBytes(list, metadata));
    for (const { name, dtype, shape, data } of list) {
      const view = typeof data === 'function' ? data() : data;
      const expected = (elementCount(name, shape) * DTYPE_BITS[dtype]) / 8;
      if (view.byteLength !== expected) {
        throw new EbbError(`${path}: tensor ${show(name)} has ${view.byteLength} bytes, expected ${expected} for ${dtype} [${shape.join(', ')}]`);
      }
      writeAll(handle, view);
    }
  });
}
