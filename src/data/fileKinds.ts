/** @file What data files are, by the endings of their names. An ending that is not here is refused. */

import { EbbError } from '../errors.ts';

/** How a file holds records; or that it holds a text, ready batches, or bare token ids. */
export type FileKind = 'lines' | 'json' | 'csv' | 'tsv' | 'parquet' | 'text' | 'batches' | 'tokens';

const ENDINGS: Readonly<Record<string, FileKind>> = {
  jsonl: 'lines',
  ndjson: 'lines',
  jsonlines: 'lines',
  json: 'json',
  csv: 'csv',
  tsv: 'tsv',
  parquet: 'parquet',
  txt: 'text',
  text: 'text',
  md: 'text',
  safetensors: 'batches',
  bin: 'tokens',
};

/** The endings, for messages and editors. */
export const ENDINGS_TEXT = '.jsonl (also .ndjson, .jsonlines), .json, .csv, .tsv, .parquet, .txt, .md, .safetensors, .bin; text files also with .gz behind';

/** Kinds whose files are text, which may be packed by gzip. */
const PACKABLE: readonly FileKind[] = ['lines', 'json', 'csv', 'tsv', 'text'];

/** A data file. */
export interface DataFile {
  /** Its path, or - for standard input. */
  readonly path: string;
  readonly kind: FileKind;
  /** Whether it is packed by gzip. */
  readonly isPacked: boolean;
  /** Is told how many more of its bytes, as they lie in the file, were read and used. */
  readonly onRead?: (bytes: number) => void;
}

/** What a path is by its ending; null where that is none of a data file. */
export function dataFile(path: string): DataFile | null {
  if (path === '-') return { path, kind: 'lines', isPacked: false };
  const name = path.toLowerCase();
  const isPacked = name.endsWith('.gz');
  const ending = (isPacked ? name.slice(0, -3) : name).match(/\.([^./\\]+)$/)?.[1];
  const kind = ending !== undefined && Object.hasOwn(ENDINGS, ending) ? ENDINGS[ending] : undefined;
  return kind === undefined || (isPacked && !PACKABLE.includes(kind)) ? null : { path, kind, isPacked };
}

/** @throws EbbError for a file whose ending is none of a data file */
export function knownDataFile(path: string): DataFile {
  const file = dataFile(path);
  if (file) return file;
  throw new EbbError(`${path}: is of a kind that Ebb does not know by its name, expected ${ENDINGS_TEXT}; rename it, or make one of these of it`, 'file');
}
