/** @file safetensors files on disk: opened by their header, tensors read one at a time or in pieces, written aside and renamed. */

import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { discard, fileError, fileSource, readRange } from './files.ts';
import { refuseNonFinite } from './finite.ts';
import { type EntryHeader, entryBytes, floatsOf, headerBytes, intsOf, type SafetensorsEntry, type StreamedEntry } from './safetensorsData.ts';
import { parseSafetensors, readSafetensorsHeader, type SafetensorsHeader, type TensorInfo } from './safetensorsHeader.ts';

export type { SafetensorsEntry, StreamedEntry } from './safetensorsData.ts';

export interface SafetensorsFile extends SafetensorsHeader {
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
}

/** Reads and checks the header of `path`; no tensor is read. @throws EbbError where a tensor's data is not there */
export function openSafetensors(path: string): SafetensorsFile {
  const source = fileSource(path);
  return { path, size: source.size, ...parseSafetensors(source) };
}

/** Reads and checks the header of `path`, behind which data may be missing. @throws EbbError */
export function openSafetensorsHeader(path: string): SafetensorsFile {
  const source = fileSource(path);
  return { path, size: source.size, ...readSafetensorsHeader(source) };
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

/** The bytes of one tensor: all of them, or `length` from byte `offset` of the tensor on. */
export function readTensor(file: SafetensorsFile, name: string, offset = 0, length?: number): Uint8Array<ArrayBuffer> {
  const { byteOffset, byteLength } = find(file, name);
  return readRange(file.path, byteOffset + offset, length ?? byteLength - offset);
}

/** A tensor of F32, F16, BF16 or F64 as floats. */
export function readFloats(file: SafetensorsFile, name: string): Float32Array {
  return floatsOf(`${file.path}: tensor ${show(name)}`, find(file, name).dtype, readTensor(file, name));
}

/** A tensor of weights as floats. @throws EbbError as `readFloats`, and for values that are NaN or infinite */
export function readFiniteFloats(file: SafetensorsFile, name: string): Float32Array {
  const values = readFloats(file, name);
  // the whole name: its end says which matrix of an adapter it is
  refuseNonFinite(`${file.path}: tensor ${name}`, 'f32', new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return values;
}

/** A tensor of I32, I64, U8 or BOOL as 32-bit integers. */
export function readInts(file: SafetensorsFile, name: string): Int32Array {
  return intsOf(`${file.path}: tensor ${show(name)}`, find(file, name).dtype, readTensor(file, name));
}

function writeAll(handle: number, view: ArrayBufferView): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at, Math.min(bytes.length - at, 1 << 30));
}

/** A file beside `path`, to be renamed once it is whole: what was at `path` stays until then. */
function openAside(path: string): { readonly handle: number; done(): void; fail(error: unknown): EbbError } {
  const aside = `${path}.${process.pid}.partial`;
  const fail = (error: unknown): EbbError => {
    discard(aside);
    return fileError(path, error);
  };
  try {
    const handle = openSync(aside, 'w');
    let open = true;
    const close = (): void => {
      if (open) closeSync(handle);
      open = false;
    };
    return {
      handle,
      done: () => {
        fsyncSync(handle);
        close();
        renameSync(aside, path);
      },
      fail: (error) => {
        close();
        return fail(error);
      },
    };
  } catch (error) {
    throw fail(error);
  }
}

/** Writes a text file aside and renames it. */
export function writeTextAside(path: string, text: string): void {
  const aside = openAside(path);
  try {
    writeAll(aside.handle, new TextEncoder().encode(text));
    aside.done();
  } catch (error) {
    throw aside.fail(error);
  }
}

/** @throws EbbError for tensors of one name */
function refuseDoubles(path: string, entries: readonly EntryHeader[]): void {
  const names = new Set<string>(['__metadata__']);
  for (const { name } of entries) {
    if (names.has(name)) throw new EbbError(`${path}: tensor ${show(name)} would be written twice or has a reserved name`);
    names.add(name);
  }
}

/** @throws EbbError where a tensor was given other bytes than its dtype and shape take */
function checkLength(path: string, entry: EntryHeader, bytes: number): void {
  const expected = entryBytes(entry);
  if (bytes !== expected)
    throw new EbbError(`${path}: tensor ${show(entry.name)} has ${bytes} bytes, expected ${expected} for ${entry.dtype} [${entry.shape.join(', ')}]`);
}

const FORMAT = { format: 'pt' };

/** Writes a safetensors file with its tensors in the order given; one tensor is in memory at a time where `data` is a function. */
export function writeSafetensors(path: string, entries: Iterable<SafetensorsEntry>, metadata: Readonly<Record<string, string>> = FORMAT): void {
  const list = [...entries];
  refuseDoubles(path, list);
  const aside = openAside(path);
  try {
    writeAll(aside.handle, headerBytes(list, metadata));
    for (const entry of list) {
      const view = typeof entry.data === 'function' ? entry.data() : entry.data;
      checkLength(path, entry, view.byteLength);
      writeAll(aside.handle, view);
    }
    aside.done();
  } catch (error) {
    throw aside.fail(error);
  }
}

const piecesOfEntry = (entry: SafetensorsEntry | StreamedEntry): ReturnType<StreamedEntry['pieces']> =>
  'pieces' in entry ? entry.pieces() : [typeof entry.data === 'function' ? entry.data() : entry.data];

/**
 * Writes a safetensors file piece by piece, with its tensors in the order given: no more than a piece is in memory.
 * @param told is told of all bytes of the file, in order
 * @throws EbbError where it cannot be written, and for a tensor whose pieces are not the bytes it takes
 */
export async function streamSafetensors(
  path: string,
  entries: readonly (SafetensorsEntry | StreamedEntry)[],
  metadata: Readonly<Record<string, string>> = FORMAT,
  told: (bytes: Uint8Array) => void = () => {},
): Promise<void> {
  refuseDoubles(path, entries);
  const aside = openAside(path);
  const write = (view: ArrayBufferView): void => {
    writeAll(aside.handle, view);
    told(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  };
  try {
    write(headerBytes(entries, metadata));
    for (const entry of entries) {
      let bytes = 0;
      for await (const piece of piecesOfEntry(entry)) {
        bytes += piece.byteLength;
        write(piece);
      }
      checkLength(path, entry, bytes);
    }
    aside.done();
  } catch (error) {
    throw aside.fail(error);
  }
}
