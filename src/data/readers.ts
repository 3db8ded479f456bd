/** @file The records of a file, one at a time, as each kind of file holds them. */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { parseExactJson } from '../formats/exactJson.ts';
import { isObject, type Json, type JsonObject, parseJson } from '../formats/json.ts';
import { nameOf, textOf } from './bytes.ts';
import type { DataFile, FileKind } from './fileKinds.ts';
import { readLines } from './lines.ts';
import { parquetRows } from './parquet.ts';
import type { RawRecord } from './rawRecord.ts';
import { tableRows } from './table.ts';

/** A record's JSON. Its numbers stay as they were written. @throws EbbError for what is none, with the place in it */
function recordOf(where: string, text: string): JsonObject {
  let value: Json;
  try {
    value = parseExactJson(text);
  } catch (error) {
    // the strict reader says the place; it takes nothing that this one refuses
    parseJson(where, text);
    throw new EbbError(`${where}: is not valid JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  return objectOf(where, value);
}

function objectOf(where: string, value: Json): JsonObject {
  if (isObject(value)) return value;
  throw new EbbError(`${where}: is ${show(value)}, expected a JSON object`);
}

/** A JSON object a line; blank lines are skipped. */
async function* lineRecords(file: DataFile): AsyncGenerator<RawRecord> {
  for await (const { number, text } of readLines(file)) {
    if (text.trim() === '') continue;
    const where = `${nameOf(file)}: line ${number}`;
    yield { where, fields: recordOf(where, text) };
  }
}

/** A list of JSON objects, or, as many tools write under this ending, an object a line. */
async function* jsonRecords(file: DataFile): AsyncGenerator<RawRecord> {
  let text = '';
  for await (const piece of textOf(file)) text += piece;
  if (text.trimStart().startsWith('{')) return yield* lineRecords(file);
  let value: Json;
  try {
    value = parseExactJson(text);
  } catch (error) {
    parseJson(nameOf(file), text);
    throw new EbbError(`${nameOf(file)}: is not valid JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!Array.isArray(value)) throw new EbbError(`${nameOf(file)}: is ${show(value)}, expected a list of records, or an object a line`);
  for (const [i, item] of value.entries()) {
    const where = `${nameOf(file)}: record ${i + 1}`;
    yield { where, fields: objectOf(where, item) };
  }
}

type Reader = (file: DataFile) => AsyncGenerator<RawRecord>;

const READERS: Readonly<Partial<Record<FileKind, Reader>>> = {
  lines: lineRecords,
  json: jsonRecords,
  csv: (file) => tableRows(file, ','),
  tsv: (file) => tableRows(file, '\t'),
  parquet: parquetRows,
};

/** The records of a file. @throws EbbError with the place of what is wrong */
export function rawRecords(file: DataFile): AsyncGenerator<RawRecord> {
  const read = READERS[file.kind];
  if (!read) throw new EbbError(`${file.path}: holds no records`);
  return read(file);
}
