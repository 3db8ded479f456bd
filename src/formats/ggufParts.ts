/**
 * @file GGUF files in parts, as llama.cpp's gguf-split writes them: `model-00001-of-00003.gguf`, whose first part holds the metadata. They are
 * read as one file: each part's bytes follow those of the part before.
 */

import { basename, dirname, join } from 'node:path';
import { at, EbbError } from '../errors.ts';
import { type ByteSource, show } from './bytes.ts';
import { cutOf, type MissingData } from './cut.ts';
import { fileExists, fileSource } from './files.ts';
import { type Gguf, type GgufTensor, readGgufHeader } from './gguf.ts';

/** A tensor, and the file that it lies in. */
export interface PlacedTensor extends GgufTensor {
  readonly file: string;
}

/** A GGUF file, or all parts of one as if they were one file. */
export interface WholeGguf extends Gguf {
  /** The file, or the first part, which holds the metadata and the tokenizer. */
  readonly file: string;
  /** Places are those in `source`. */
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
  readonly source: ByteSource;
  /** What of the data is not there, of the first file that breaks off; null where it is all there. */
  readonly cut: MissingData | null;
}

/** A part that was opened. */
interface Part {
  readonly gguf: Gguf;
  readonly source: ByteSource;
  /** Where its bytes begin among those of all parts. */
  readonly start: number;
}

const PART_NAME = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/i;

/** The count of parts that a header says it is one of; 1 where it says nothing. @throws EbbError for what is no count */
function partCount({ file, metadata }: Gguf): number {
  const count = metadata.get('split.count');
  // gguf-split writes 0 where nothing was split
  if (count === undefined || count === 0) return 1;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 1 || count > 99_999)
    throw new EbbError(`${file}: split.count is ${show(count)}, expected how many parts the model has`);
  return count;
}

/** The paths of all parts of which a file is one, by its name. @throws EbbError where the name does not tell them, and for parts that are not there */
function partPaths({ file, metadata }: Gguf, count: number): string[] {
  const [, stem, , total, ending] = PART_NAME.exec(basename(file)) ?? [];
  if (stem === undefined || ending === undefined || Number(total) !== count)
    throw new EbbError(
      `${file}: is one of ${count} parts of a model (split.count; split.no is ${show(metadata.get('split.no'))}), expected a name that tells the others, which ends in -00001-of-${String(count).padStart(5, '0')}.gguf; give the parts the names that gguf-split gave them`,
    );
  const paths = Array.from({ length: count }, (_, i) => join(dirname(file), `${stem}-${String(i + 1).padStart(5, '0')}-of-${total}${ending}`));
  const missing = paths.filter((path) => !fileExists(path));
  if (missing.length > 0) {
    const names = missing.slice(0, 3).map((path) => basename(path));
    const more = missing.length > 3 ? ` and ${missing.length - 3} more` : '';
    throw new EbbError(
      `${file}: is one of ${count} parts of a model, of which ${names.join(', ')}${more} ${missing.length === 1 ? 'is' : 'are'} not beside it; put all parts into one folder`,
    );
  }
  return paths;
}

/** Where the bytes after a part's begin: behind its data, also where the part breaks off before. */
function endOf({ gguf, source, start }: Part): number {
  const end = [...gguf.tensors.values()].reduce((most, t) => Math.max(most, t.byteOffset + t.byteLength), source.size);
  return start + end;
}

function openParts(paths: readonly string[]): Part[] {
  const parts: Part[] = [];
  for (const path of paths) {
    const source = fileSource(path);
    const last = parts.at(-1);
    parts.push({ gguf: readGgufHeader(source), source, start: last ? endOf(last) : 0 });
  }
  return parts;
}

/** @throws EbbError for a part that says it is another one, or whose metadata contradicts the first part's */
function checkPart({ gguf: { file, metadata } }: Part, index: number, first: Gguf): void {
  for (const [key, value] of metadata) {
    const expected = key === 'split.no' ? index : first.metadata.get(key);
    const isSame = JSON.stringify(value, plain) === JSON.stringify(expected, plain);
    if (!isSame)
      throw new EbbError(
        `${file}: ${key} is ${show(value)}, expected ${expected === undefined ? 'no such key' : show(expected)}, as part ${index + 1} of ${first.file}; give the parts of one model`,
      );
  }
}

/** Values of metadata that JSON has no text for. */
const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

/** All tensors, moved to where they lie among the bytes of all parts. @throws EbbError for one that lies in two parts */
function placedTensors(parts: readonly Part[]): Map<string, PlacedTensor> {
  const tensors = new Map<string, PlacedTensor>();
  for (const { gguf, start } of parts)
    for (const [name, tensor] of gguf.tensors) {
      const other = tensors.get(name);
      if (other) throw new EbbError(`${gguf.file}: tensor ${show(name)} lies in ${other.file} too; give the parts of one model`);
      tensors.set(name, { ...tensor, file: gguf.file, byteOffset: start + tensor.byteOffset });
    }
  return tensors;
}

/** The bytes of all parts; a range lies in one of them. */
function joined(parts: readonly Part[]): ByteSource {
  const last = at(parts, -1);
  return {
    name: at(parts, 0).source.name,
    size: last.start + last.source.size,
    read: (offset, length) => {
      const { source, start } = at(
        parts.filter((part) => part.start <= offset),
        -1,
      );
      return source.read(offset - start, length);
    },
  };
}

/**
 * Opens the header of a GGUF file whose data need not be there; of a file in parts, all of them, whichever is given.
 * @throws EbbError as `readGgufHeader`; for parts that are missing or not of one model
 */
export function openGguf(path: string): WholeGguf {
  const source = fileSource(path);
  const given = readGgufHeader(source);
  const count = partCount(given);
  const parts = count === 1 ? [{ gguf: given, source, start: 0 }] : openParts(partPaths(given, count));
  const first = at(parts, 0).gguf;
  if (count > 1) for (const [i, part] of parts.entries()) checkPart(part, i, first);
  const tensors = placedTensors(parts);
  const promised = first.metadata.get('split.tensors.count');
  if (count > 1 && promised !== undefined && promised !== tensors.size)
    throw new EbbError(`${first.file}: split.tensors.count is ${show(promised)}, and its ${count} parts hold ${tensors.size}; give the parts of one model`);
  const cuts = parts.map((part) => cutOf(part.gguf.file, part.gguf.tensors.values(), part.source.size));
  return { ...first, tensors, source: joined(parts), cut: cuts.find((cut) => cut !== null) ?? null };
}
