/** @file Random-access bytes (a file, a buffer, a blob read earlier) and strict UTF-8, without Node. */

import { EbbError } from '../errors.ts';

/** Bytes that are read a range at a time; `name` goes into errors. */
export interface ByteSource {
  readonly name: string;
  readonly size: number;
  /** Bytes [offset, offset + length); the caller has checked the range against `size`. */
  readonly read: (offset: number, length: number) => Uint8Array;
}

export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  return { name, size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text of UTF-8 bytes; a byte order mark stays. @throws EbbError for other bytes, which begins with `where` */
export function decodeUtf8(where: string, bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new EbbError(`${where}: is not valid UTF-8 text`);
  }
}

/** How a found value is shown in an error: short, on one line. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'bigint') return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** A number of bytes for people, such as 1.5 GiB. */
export function bytesText(count: number): string {
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, count)) / 10));
  return `${step === 0 ? count : (count / 2 ** (10 * step)).toFixed(1)} ${UNITS[step]}`;
}
