/** @file Lines of a large text file, one at a time: bounded memory, strict UTF-8, numbers for errors. */

import { EbbError } from '../errors.ts';
import { decodeUtf8 } from '../formats/bytes.ts';
import { bytesOf, nameOf } from './bytes.ts';
import type { DataFile } from './fileKinds.ts';

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without its end; a carriage return and a byte order mark at the start of the file are left out too. */
  readonly text: string;
}

const MAX_LINE = 1 << 28;
const NEWLINE = 10;

function lineText(name: string, number: number, parts: readonly Uint8Array[]): string {
  const text = decodeUtf8(`${name}: line ${number}`, parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts));
  const start = number === 1 && text.charCodeAt(0) === 0xfeff ? 1 : 0;
  return text.slice(start, text.endsWith('\r') ? -1 : undefined);
}

/** Lines of a file from the first to the last; a last line without an end counts, an empty rest does not. @throws EbbError */
export async function* readLines(file: DataFile): AsyncGenerator<Line> {
  const name = nameOf(file);
  let number = 1;
  let parts: Uint8Array[] = [];
  let held = 0;
  for await (const piece of bytesOf(file)) {
    let start = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, start)) {
      yield { number, text: lineText(name, number, [...parts, piece.subarray(start, end)]) };
      parts = [];
      held = 0;
      start = end + 1;
      number++;
    }
    if (start < piece.length) parts.push(piece.subarray(start));
    held += piece.length - start;
    if (held > MAX_LINE) throw new EbbError(`${name}: line ${number} is longer than ${MAX_LINE} bytes`);
  }
  if (parts.length > 0) yield { number, text: lineText(name, number, parts) };
}
