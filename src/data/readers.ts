/** @file The records of a file, one at a time, as each kind of file holds them. */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { parseExactJson } from '../formats/exactJson.ts';
import { isObject, type Json, type JsonObject, parseJson } from '../formats/json.ts';
import { nameOf, textOf } from './bytes.ts';
import type { DataFile, FileKind } from './fileKinds.ts';
import { readLines } from './lines.ts';
import type { RawRecord } from './rawRecord.ts';

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

/** The JSON of a whole text; undefined where it is none, and may be an object a line. */
function wholeJson(text: string): Json | undefined {
  try {
    return parseExactJson(text);
  } catch {
    return undefined;
  }
}

/** @throws EbbError for a text that is too long to be held as one */
async function textWithin(file: DataFile): Promise<string> {
  try {
    let text = '';
    for await (const piece of textOf(file)) text += piece;
    return text;
  } catch (error) {
    if (error instanceof RangeError) throw new EbbError(`${nameOf(file)}: is too large to be read as one list; write an object a line (.jsonl)`, 'file');
    throw error;
  }
}

/** A list of JSON objects; or, as many tools write under this ending, an object a line. */
async function* jsonRecords(file: DataFile): AsyncGenerator<RawRecord> {
  const name = nameOf(file);
  const text = await textWithin(file);
  const value = wholeJson(text);
  if (value === undefined && text.trimStart().startsWith('{')) return yield* lineRecords(file);
  if (isObject(value)) return yield* onlyRecord(name, value);
  if (value === undefined) parseJson(name, text);
  if (!Array.isArray(value)) throw new EbbError(`${name}: is ${show(value)}, expected a list of records, or an object a line`);
  for (const [i, item] of value.entries()) {
    const where = `${name}: record ${i + 1}`;
    yield { where, fields: objectOf(where, item) };
  }
}

/** The one record of a file that holds one object. @throws EbbError for an object that holds a list of records, or columns */
function* onlyRecord(name: string, fields: JsonObject): Generator<RawRecord> {
  const values = Object.entries(fields);
  const hint = 'expected a list of records, [{…}, {…}], or an object a line';
  const [within] = values.filter(
    ([key, value]) =>
      Array.isArray(value) && value.length > 0 && value.every(isObject) && !['messages', 'conversations', 'tools', 'prompt', 'completion'].includes(key),
  );
  if (within && values.length <= 2) throw new EbbError(`${name}: holds a list of objects under ${show(within[0])}, ${hint}: write that list alone`);
  if (values.length > 0 && values.every(([, value]) => Array.isArray(value) && value.length > 1 && !value.some(isObject)))
    throw new EbbError(
      `${name}: holds columns (${values
        .slice(0, 4)
        .map(([key]) => key)
        .join(', ')}), ${hint}: write it by rows`,
    );
  yield { where: `${name}: record 1`, fields };
}

/** The rows of a table. Its library is loaded where there is one. */
async function* rows(file: DataFile, delimiter: ',' | '\t'): AsyncGenerator<RawRecord> {
  const { tableRows } = await import('./table.ts');
  yield* tableRows(file, delimiter);
}

/** The rows of a parquet file. Its library is loaded where there is one. */
async function* parquet(file: DataFile): AsyncGenerator<RawRecord> {
  const { parquetRows } = await import('./parquet.ts');
  yield* parquetRows(file);
}

type Reader = (file: DataFile) => AsyncGenerator<RawRecord>;

const READERS: Readonly<Partial<Record<FileKind, Reader>>> = {
  lines: lineRecords,
  json: jsonRecords,
  csv: (file) => rows(file, ','),
  tsv: (file) => rows(file, '\t'),
  parquet,
};

/** The records of a file. @throws EbbError with the place of what is wrong */
export function rawRecords(file: DataFile): AsyncGenerator<RawRecord> {
  const read = READERS[file.kind];
  if (!read) throw new EbbError(`${file.path}: holds no records`);
  return read(file);
}
