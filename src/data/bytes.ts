/** @file The contents of a data file, unpacked: piece by piece in bounded memory, or as a whole. Texts are strictly UTF-8. */

import { createReadStream, readFileSync } from 'node:fs';
import { createGunzip, gunzipSync } from 'node:zlib';
import { EbbError } from '../errors.ts';
import { decodeUtf8 } from '../formats/bytes.ts';
import { fileError } from '../formats/files.ts';
import type { DataFile } from './fileKinds.ts';

/** What a file is called in messages. */
export const nameOf = ({ path }: Pick<DataFile, 'path'>): string => (path === '-' ? 'standard input' : path);

/** The error a person reads for a file that cannot be read or unpacked. */
function readError(file: DataFile, error: unknown): EbbError {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  if (code.startsWith('Z_'))
    return new EbbError(`${nameOf(file)}: cannot be unpacked by gzip (${error instanceof Error ? error.message : code}); pack it again`, 'file');
  return fileError(nameOf(file), error);
}

/** The bytes of a file, unpacked, piece by piece. @throws EbbError for a file that cannot be read or unpacked */
export async function* bytesOf(file: DataFile): AsyncGenerator<Uint8Array> {
  const stream = file.path === '-' ? createReadStream('', { fd: 0, autoClose: false }) : createReadStream(file.path);
  const unpacked = file.isPacked ? stream.pipe(createGunzip()) : stream;
  if (unpacked !== stream) stream.on('error', (error) => unpacked.destroy(error));
  let told = 0;
  try {
    for await (const piece of unpacked) {
      yield piece as Uint8Array;
      file.onRead?.(stream.bytesRead - told);
      told = stream.bytesRead;
    }
  } catch (error) {
    throw readError(file, error);
  } finally {
    stream.destroy();
  }
}

/** The text of a file, piece by piece, without a byte order mark. @throws EbbError as `bytesOf`, and for what is not UTF-8 */
export async function* textOf(file: DataFile): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decode = (piece?: Uint8Array): string => {
    try {
      return piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true });
    } catch {
      throw new EbbError(`${nameOf(file)}: is not valid UTF-8; save it as UTF-8`, 'file');
    }
  };
  for await (const piece of bytesOf(file)) yield decode(piece);
  yield decode();
}

/** The whole text of a file that is no stream, without a byte order mark. @throws EbbError as `textOf` */
export function wholeText(file: DataFile): string {
  let bytes: Uint8Array;
  try {
    const read = readFileSync(file.path);
    bytes = file.isPacked ? gunzipSync(read) : read;
  } catch (error) {
    throw readError(file, error);
  }
  return decodeUtf8(file.path, bytes).replace(/^\ufeff/, '');
}
