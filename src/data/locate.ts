/** @file The files that a path means: a file, a folder of shards, a pattern, or standard input. */

import { readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, join, sep } from 'node:path';
import picomatch from 'picomatch';
import { EbbError } from '../errors.ts';
import { fileError, pathKind, readRange } from '../formats/files.ts';
import { parseJson } from '../formats/json.ts';
import { wholeText } from './bytes.ts';
import { type DataFile, dataFile, ENDINGS_TEXT, knownDataFile } from './fileKinds.ts';

/** What a path of data means. */
export interface LocatedData {
  /** As it was given. */
  readonly path: string;
  /** Records, texts, ready batches, or bare token ids. */
  readonly kind: 'records' | 'text' | 'batches' | 'tokens';
  /** In the order in which they are read. */
  readonly files: readonly DataFile[];
  /** What a person should know: files that were left out. */
  readonly notes: readonly string[];
}

/** What a name says of the split that a shard belongs to, as data sets on the hub are named. */
const SPLIT = /(?:^|[/\\_.-])(train(?:ing)?|test(?:ing)?|validation|valid|val|dev|eval(?:uation)?|held[-_]?out)(?=[-_./\\]|\d|$)/i;
const splitOf = (name: string): string | null => {
  const found = SPLIT.exec(name)?.[1]?.toLowerCase();
  return found === undefined ? null : found.startsWith('train') ? 'train' : found;
};

/**
 * Files below a folder, by their paths in it, in the order of their names. Links are followed, and one that points at nothing counts as a file,
 * which whoever reads it misses. @param depth most folders down
 */
function filesBelow(folder: string, depth = Number.POSITIVE_INFINITY, within = '', above: readonly string[] = []): string[] {
  try {
    const place = realpathSync(join(folder, within));
    if (above.includes(place)) return [];
    return readdirSync(place)
      .filter((name) => !name.startsWith('.'))
      .sort()
      .flatMap((name) => {
        const path = within === '' ? name : join(within, name);
        const stats = statSync(join(folder, path), { throwIfNoEntry: false });
        if (stats?.isDirectory()) return depth > 1 ? filesBelow(folder, depth - 1, path, [...above, place]) : [];
        return stats === undefined || stats.isFile() ? [path] : [];
      });
  } catch (error) {
    throw fileError(folder, error);
  }
}

const listed = (names: readonly string[]): string => `${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`;

/** Descriptions that lie beside shards, whatever their endings. */
const isBeside = (name: string): boolean => /^(readme|license|licence|changelog)\b/i.test(basename(name)) || /(^|[/\\])dataset_infos?\.json$/i.test(name);

/** Refuses a file that lies there packed and unpacked: its records would be learnt twice. */
function checkOnce(path: string, shards: readonly string[]): void {
  const twice = shards.find((name) => shards.includes(`${name}.gz`));
  if (twice !== undefined) throw new EbbError(`${path}: holds ${twice} and ${twice}.gz, whose records would be learnt twice; take one of them away`, 'file');
}

/**
 * The shards among files: those of the split train and those of none, or else those of the one split that there is.
 * @throws EbbError where there are several splits, and none is for training
 */
function shardsOf(
  path: string,
  names: readonly string[],
  full: (name: string) => string,
): { readonly files: readonly DataFile[]; readonly notes: readonly string[] } {
  const shards = names.filter((name) => dataFile(name) !== null && !isBeside(name));
  checkOnce(path, shards);
  const toTrain = shards.filter((name) => splitOf(name) === 'train' || splitOf(name) === null);
  const splits = [...new Set(shards.flatMap((name) => splitOf(name) ?? []))].filter((split) => split !== 'train');
  const pattern = (split: string): string => join(path, '**', `*${split}*`);
  if (toTrain.length === 0 && splits.length > 1)
    throw new EbbError(
      `${path}: holds the splits ${splits.join(' and ')}, and none to train on; name the files by a pattern such as ${pattern(splits[0] ?? '')}`,
      'file',
    );
  const taken = toTrain.length > 0 ? toTrain : shards;
  const [others, side] = [shards.filter((name) => !taken.includes(name)), names.filter((name) => !shards.includes(name))];
  return {
    files: taken.map((name) => knownDataFile(full(name))),
    notes: [
      ...(others.length > 0
        ? [
            `${path}: ${taken.length} file${taken.length > 1 ? 's' : ''} to train on ${taken.length > 1 ? 'are' : 'is'} read, not ${listed(others)}; name others by a pattern such as ${pattern(splits[0] ?? '')}`,
          ]
        : []),
      ...(toTrain.length === 0 && splits.length === 1 ? [`${path}: holds the split ${splits[0]} alone, which is read`] : []),
      ...(side.length > 0 ? [`${path}: ${listed(side)} ${side.length > 1 ? 'are' : 'is'} no data, and not read`] : []),
    ],
  };
}

/** Whether the first characters of a file that are no white space, nor a byte order mark, are these. */
function beginsWith(path: string, start: string): boolean {
  const head = readRange(path, 0, Math.min(statSync(path).size, 4096));
  return new TextDecoder().decode(head).trimStart().startsWith(start);
}

/** Whether a .json file holds ready batches, rather than records. */
function holdsBatches(file: DataFile): boolean {
  // most are long lists, which their first characters tell
  if (file.isPacked || !beginsWith(file.path, '{')) return false;
  const text = wholeText(file);
  if (!text.includes('"input_ids"')) return false;
  try {
    const value = parseJson(file.path, text);
    return typeof value === 'object' && value !== null && 'input_ids' in value;
  } catch {
    return false;
  }
}

const KINDS: Readonly<Record<DataFile['kind'], LocatedData['kind']>> = {
  lines: 'records',
  json: 'records',
  csv: 'records',
  tsv: 'records',
  parquet: 'records',
  text: 'text',
  batches: 'batches',
  tokens: 'tokens',
};

const kindOf = (file: DataFile): LocatedData['kind'] => (file.kind === 'json' && holdsBatches(file) ? 'batches' : KINDS[file.kind]);

/** @throws EbbError for files of several kinds, and for several of a kind of which there can be one */
function kindOfAll(path: string, files: readonly DataFile[]): LocatedData['kind'] {
  const kinds = new Map(files.map((file) => [kindOf(file), file.path]));
  const [[kind] = ['records' as const], second] = kinds;
  if (second)
    throw new EbbError(
      `${path}: holds ${[...kinds].map(([is, example]) => `${is} (${example})`).join(' and ')}, expected data of one kind; name the files by a pattern`,
    );
  if (files.length > 1 && (kind === 'batches' || kind === 'tokens'))
    throw new EbbError(`${path}: holds ${files.length} files of ${kind === 'batches' ? 'ready batches' : 'token ids'}, expected one; name it, or join them`);
  return kind;
}

/** Whether a path is a pattern of several files, rather than the name of one that is there. */
export const isPattern = (path: string): boolean => /[*?[\]{}]/.test(path) && !statSync(path, { throwIfNoEntry: false });

/**
 * Finds the files that a path means. @param path a file; a folder, whose shards are read in the order of their names; a pattern such as data/*.jsonl; or -
 * @throws EbbError where there is nothing, and for files of unknown or several kinds
 */
export function locateData(path: string): LocatedData {
  if (path === '-') return { path, kind: 'records', files: [knownDataFile(path)], notes: [] };
  if (isPattern(path)) return matchedFiles(path);
  if (pathKind(path) === 'file') {
    const file = knownDataFile(path);
    return { path, kind: kindOf(file), files: [file], notes: [] };
  }
  const { files, notes } = shardsOf(path, filesBelow(path), (name) => join(path, name));
  if (files.length === 0) throw new EbbError(`${path}: is a folder that holds no data, expected files that end in ${ENDINGS_TEXT}`, 'file');
  return { path, kind: kindOfAll(path, files), files, notes };
}

function matchedFiles(path: string): LocatedData {
  const posix = path.split(sep).join('/');
  const { base, glob } = picomatch.scan(posix);
  const folder = base === '' ? '.' : base;
  const matches = picomatch(glob, { dot: false });
  const depth = glob.includes('**') ? undefined : glob.split('/').length;
  const names = filesBelow(folder, depth).filter((name) => matches(name.split(sep).join('/')));
  if (names.length === 0) throw new EbbError(`${path}: no file matches this pattern`, 'file');
  const files = names.map((name) => knownDataFile(join(folder, name)));
  return { path, kind: kindOfAll(path, files), files, notes: [] };
}

/** Whether a path of data means records. @throws EbbError as `locateData` */
export const holdsRecords = (path: string): boolean => locateData(path).kind === 'records';
