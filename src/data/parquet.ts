/** @file Rows of parquet files, by hyparquet: a group of rows at a time. */

import { asyncBufferFromFile, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors as packers } from 'hyparquet-compressors';
import { EbbError } from '../errors.ts';
import { fileError } from '../formats/files.ts';
import type { Json, JsonObject } from '../formats/json.ts';
import type { DataFile } from './fileKinds.ts';
import type { RawRecord } from './rawRecord.ts';

/** Pages of which nothing is left when they are unpacked are none that the library unpacks: columns that are null throughout. */
const compressors = Object.fromEntries(
  Object.entries(packers).map(([name, unpack]) => [name, (input: Uint8Array, length: number) => (length === 0 ? new Uint8Array(0) : unpack(input, length))]),
) as typeof packers;

/** @throws EbbError for bytes that are no text */
function textOf(where: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new EbbError(`${where}: holds bytes that are not valid UTF-8, expected texts, numbers, lists and structs; write the column as text, or leave it out`);
  }
}

/** Texts stay bytes until their place is known. */
const parsers = { stringFromBytes: (bytes: Uint8Array | undefined) => bytes?.slice() };

/** A value as JSON has it. @throws EbbError for what it cannot hold */
function jsonOf(where: string, value: unknown): Json {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((item) => jsonOf(where, item));
  if (value instanceof Uint8Array) return textOf(where, value);
  return objectOf(where, value as object);
}

function objectOf(where: string, value: object): JsonObject {
  return Object.assign(
    Object.create(null),
    Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, jsonOf(`${where}: ${key}`, inner)])),
  ) as JsonObject;
}

/** The rows of a parquet file. @throws EbbError for a file that is none, or is packed in an unknown way */
export async function* parquetRows({ path, onRead }: DataFile): AsyncGenerator<RawRecord> {
  const refuse = (error: unknown): EbbError =>
    error instanceof EbbError
      ? error
      : new EbbError(`${path}: cannot be read as parquet (${error instanceof Error ? error.message : String(error)}); write it again`, 'file');
  const file = await asyncBufferFromFile(path).catch((error: unknown) => {
    throw fileError(path, error);
  });
  let metadata: FileMetaData;
  try {
    metadata = await parquetMetadataAsync(file);
  } catch (error) {
    throw refuse(error);
  }
  let row = 0;
  for (const group of metadata.row_groups) {
    const end = row + Number(group.num_rows);
    const rows = await parquetReadObjects({ file, metadata, compressors, parsers, utf8: false, rowStart: row, rowEnd: end }).catch((error: unknown) => {
      throw refuse(error);
    });
    for (const [i, fields] of rows.entries()) {
      const where = `${path}: record ${row + i + 1}`;
      yield { where, fields: objectOf(where, fields) };
    }
    onRead?.(Number(group.total_compressed_size ?? group.total_byte_size));
    row = end;
  }
}
