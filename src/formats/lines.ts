/** @file Lines of a large text file, one at a time: bounded memory, strict UTF-8, numbers for errors. */

import { closeSync, openSync, readSync } from 'node:fs';
import { EbbError } from '../errors.ts';
import { decodeUtf8 } from './bytes.ts';
import { fileError, pathKind } from './files.ts';

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without its end; a carriage return and a byte order mark at the start of the file are left out too. */
  readonly text: string;
}

const CHUNK = 1 << 20;
const MAX_LINE = 1 << 28;

function* chunks(path: string): Generator<Uint8Array> {
  if (pathKind(path) === 'folder') throw new EbbError(`${path}: is a folder, expected a file`);
  let handle: number | undefined;
  try {
    handle = openSync(path, 'r');
    for (;;) {
      const chunk = new Uint8Array(CHUNK);
      const count = readSync(handle, chunk, 0, CHUNK, null);
      if (count === 0) return;
      yield chunk.subarray(0, count);
    }
  } catch (error) {
    throw fileError(path, error);
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

function lineText(path: string, number: number, parts: readonly Uint8Array[]): string {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > MAX_LINE) throw new EbbError(`${path}: line ${number} is longer than ${MAX_LINE} bytes`);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  const text = decodeUtf8(`${path}: line ${number}`, bytes);
  const start = number === 1 && text.charCodeAt(0) === 0xfeff ? 1 : 0;
  return text.slice(start, text.endsWith('\r') ? -1 : undefined);
}

/** Lines of `path` from the first to the last; a last line without an end counts, an empty rest does not. */
export function* readLines(path: string): Generator<Line> {
  let number = 1;
  let parts: Uint8Array[] = [];
  let held = 0;
  for (const chunk of chunks(path)) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      yield { number, text: lineText(path, number, [...parts, chunk.subarray(start, end)]) };
      parts = [];
      held = 0;
      start = end + 1;
      number++;
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
    held += chunk.length - start;
    if (held > MAX_LINE) throw new EbbError(`${path}: line ${number} is longer than ${MAX_LINE} bytes`);
  }
  if (parts.length > 0) yield { number, text: lineText(path, number, parts) };
}
