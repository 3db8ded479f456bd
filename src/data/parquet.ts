/** @file Rows of parquet files, by hyparquet: a group of rows at a time. */

import { asyncBufferFromFile, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { EbbError } from '../errors.ts';
import { fileError } from '../formats/files.ts';
import type { Json, JsonObject } from '../formats/json.ts';
import type { DataFile } from './fileKinds.ts';
import type { RawRecord } from './rawRecord.ts';

/** A value as JSON has it. @throws EbbError for what it cannot hold */
function jsonOf(where: string, value: unknown): Json {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((item) => jsonOf(where, item));
  if (ArrayBuffer.isView(value)) throw new EbbError(`${where}: holds bytes, expected texts, numbers, lists and structs; leave that column out`);
  return objectOf(where, value as object);
}

function objectOf(where: string, value: object): JsonObject {
  return Object.assign(
    Object.create(null),
    Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, jsonOf(`${where}: ${key}`, inner)])),
  ) as JsonObject;
}

/** The rows of a parquet file. @throws EbbError for a file that is none, or is packed in an unknown way */
export async function* parquetRows({ path }: DataFile): AsyncGenerator<RawRecord> {
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
    const rows = await parquetReadObjects({ file, metadata, compressors, rowStart: row, rowEnd: end }).catch((error: unknown) => {
      throw refuse(error);
    });
    for (const [i, fields] of rows.entries()) {
      const where = `${path}: record ${row + i + 1}`;
      yield { where, fields: objectOf(where, fields) };
    }
    row = end;
  }
}
