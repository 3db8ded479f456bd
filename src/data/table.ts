/** @file Tables with a header, separated by commas or tabs (RFC 4180), by csv-parse. Every value is a text. */

import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { EbbError } from '../errors.ts';
import type { JsonObject } from '../formats/json.ts';
import { nameOf, textOf } from './bytes.ts';
import type { DataFile } from './fileKinds.ts';
import type { RawRecord } from './rawRecord.ts';

/** @throws EbbError for a header that names nothing, or two columns alike */
function columnsOf(name: string, header: readonly string[]): string[] {
  const twice = header.find((column, i) => header.indexOf(column) !== i);
  if (twice !== undefined) throw new EbbError(`${name}: the header names the column ${JSON.stringify(twice)} twice; rename one of them`);
  const [only = ''] = header;
  const other = [';', ',', '\t', '|'].find((separator) => header.length === 1 && only.includes(separator));
  if (other !== undefined)
    throw new EbbError(
      `${name}: the header is one column, ${JSON.stringify(only)}; its columns seem to be separated by ${JSON.stringify(other)}: write it with commas (.csv) or tabs (.tsv)`,
    );
  return [...header];
}

/** The rows of a table, by the names of its columns. @throws EbbError with the line of a row that does not fit the header */
export async function* tableRows(file: DataFile, delimiter: ',' | '\t'): AsyncGenerator<RawRecord> {
  const name = nameOf(file);
  // a row ends however it ends, also where rows of another system were added
  const rows = parse({
    delimiter,
    record_delimiter: ['\r\n', '\n', '\r'],
    bom: true,
    skip_empty_lines: true,
    columns: (header: readonly string[]) => columnsOf(name, header),
    info: true,
  });
  const source = Readable.from(textOf(file)).on('error', (error) => rows.destroy(error));
  source.pipe(rows);
  try {
    for await (const { record, info } of rows as AsyncIterable<{ readonly record: Record<string, string>; readonly info: { readonly records: number } }>)
      yield { where: `${name}: record ${info.records}`, fields: Object.assign(Object.create(null), record) as JsonObject, isTable: true };
  } catch (error) {
    if (error instanceof EbbError) throw error;
    if (error instanceof CsvError) throw new EbbError(`${name}: ${error.message}; a value with a comma, a quote or a line break stands in quotes`);
    throw error;
  } finally {
    source.destroy();
  }
}
