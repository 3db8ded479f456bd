/** @file Reading local files lazily, with errors that say which file and why; the only door to node:fs in src/formats besides writers. */

import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { EbbError } from '../errors.ts';
import type { ByteSource } from './bytes.ts';
import { decodeUtf8 } from './bytes.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EEXIST: 'is there already',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'is a folder, expected a file',
  ENOTDIR: 'a part of the path is a file, not a folder',
  ENOSPC: 'no space left on the disk',
  EROFS: 'the disk is read-only',
  EMFILE: 'too many open files',
};

/** The error a person reads for a failed file operation on `path`. */
export function fileError(path: string, error: unknown): EbbError {
  if (error instanceof EbbError) return error;
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return new EbbError(`${path}: ${REASONS[code] ?? (error instanceof Error ? error.message : String(error))}`, 'file');
}

/** What is at `path`; throws where there is nothing readable. */
export function pathKind(path: string): 'file' | 'folder' {
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) return 'folder';
    if (stats.isFile()) return 'file';
  } catch (error) {
    throw fileError(path, error);
  }
  throw new EbbError(`${path}: is neither a file nor a folder`, 'file');
}

export function fileExists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** The first GGUF file of a folder; undefined where it holds none. */
export function ggufIn(folder: string): string | undefined {
  const name = readdirSync(folder)
    .sort()
    .find((entry) => entry.toLowerCase().endsWith('.gguf'));
  return name === undefined ? undefined : join(folder, name);
}

/** A file as a byte source: opened and closed at each read, so that nothing has to be closed by the caller. */
export function fileSource(path: string): ByteSource {
  if (pathKind(path) === 'folder') throw new EbbError(`${path}: is a folder, expected a file`, 'file');
  const { size } = statSync(path);
  return { name: path, size, read: (offset, length) => readRange(path, offset, length) };
}

/** Bytes [offset, offset + length) of a file. */
export function readRange(path: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
  let handle: number | undefined;
  try {
    handle = openSync(path, 'r');
    if (offset + length > fstatSync(handle).size) {
      throw new EbbError(`${path}: ends at byte ${fstatSync(handle).size}, expected at least ${offset + length} bytes`, 'file');
    }
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      // One read call takes at most 2 GiB − 4 KiB on Linux.
      const count = readSync(handle, bytes, done, Math.min(length - done, 1 << 30), offset + done);
      if (count === 0) throw new EbbError(`${path}: ended at byte ${offset + done} while it was read`, 'file');
      done += count;
    }
    return bytes;
  } catch (error) {
    throw fileError(path, error);
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

/** A whole text file, strictly UTF-8, of at most `limit` bytes. */
export function readText(path: string, limit = 256 * 2 ** 20): string {
  const source = fileSource(path);
  if (source.size > limit) {
    throw new EbbError(`${path}: is ${source.size} bytes long, expected at most ${limit} for a ${basename(path)}`, 'file');
  }
  return decodeUtf8(path, source.read(0, source.size));
}

/**
 * Makes a folder, and those that it lies in. Node's own `recursive` never returns where a file system has no folders to make, as /proc.
 * @throws EbbError where one of them cannot be made
 */
export function makeFolder(path: string): void {
  const folder = resolve(path);
  if (isFolder(folder)) return;
  if (dirname(folder) !== folder) makeFolder(dirname(folder));
  try {
    mkdirSync(folder);
  } catch (error) {
    // another process may have made it meanwhile
    if (!isFolder(folder)) throw fileError(folder, error);
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return false;
  }
}

/** Removes what is of no use any more. What cannot be removed stays: nothing depends on it. */
export function discard(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // a disk that is read-only keeps it
  }
}
