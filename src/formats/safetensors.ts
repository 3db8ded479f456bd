/** @file safetensors files on disk: opened by their header, tensors read one at a time, written aside and renamed. */

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { fileError, fileSource, readRange } from './files.ts';
import { floatsOf, headerBytes, intsOf, type SafetensorsEntry } from './safetensorsData.ts';
import { DTYPE_BITS, elementCount, parseSafetensors, type SafetensorsHeader, type TensorInfo } from './safetensorsHeader.ts';

export type { SafetensorsEntry } from './safetensorsData.ts';

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
  return floatsOf(`${file.path}: tensor ${show(name)}`, find(file, name).dtype, readTensor(file, name));
}

/** A tensor of I32, I64, U8 or BOOL as 32-bit integers. */
export function readInts(file: SafetensorsFile, name: string): Int32Array {
  return intsOf(`${file.path}: tensor ${show(name)}`, find(file, name).dtype, readTensor(file, name));
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
