/** @file What a command writes lies nowhere over what it reads: said before anything is computed. */

import { realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { EbbError } from '../errors.ts';
import { pathKind } from '../formats/files.ts';

/** Something that a command reads. */
export interface InputPath {
  /** The flag or key that names it, or what it is. */
  readonly what: string;
  readonly path: string;
}

/** The inputs that were given. */
export const inputsOf = (given: Readonly<Record<string, string | undefined>>): InputPath[] =>
  Object.entries(given).flatMap(([what, path]) => (path === undefined ? [] : [{ what, path }]));

/** What is at a path; undefined where there is nothing, or nothing can be: below a file. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** A path without links, as far as it is there. */
function realPath(path: string): string {
  const whole = resolve(path);
  if (statOf(whole)) return realpathSync.native(whole);
  const parent = dirname(whole);
  return parent === whole ? whole : join(realPath(parent), basename(whole));
}

/** Whether two paths are one file or folder, links and spelling aside. */
function isSame(a: string, b: string): boolean {
  const [one, other] = [statOf(a), statOf(b)];
  if (!one || !other) return realPath(a) === realPath(b);
  return one.dev === other.dev && one.ino === other.ino;
}

const isInside = (path: string, folder: string): boolean => realPath(path).startsWith(realPath(folder) + sep);

/** Files that are read of a folder: a model, its tokenizer, an adapter. */
const READ =
  /^((generation_|tokenizer_|adapter_)?config|tokenizer|model\.safetensors\.index)\.json$|^(adapter_)?model\.safetensors$|-of-\d+\.safetensors$|\.jinja$/;

/** @throws EbbError for a file that is an input, or a part of one */
function refuseInputs(out: string, flag: string, inputs: readonly InputPath[]): void {
  const over = inputs.find(({ path }) => isSame(out, path) || (isInside(out, path) && READ.test(basename(out))));
  if (over) throw new EbbError(`${flag} ${out} would be written over ${over.what}, ${over.path}; give another file`);
}

/**
 * Checks a file that is to be written.
 * @param flag what names it, e.g. `--out`
 * @throws EbbError where its folder is not there, where a folder is in its place, and where it would be written over an input
 */
export function checkOutFile(out: string, flag: string, inputs: readonly InputPath[]): void {
  if (out === '') throw new EbbError(`${flag} is empty, expected a file to write`);
  const folder = dirname(resolve(out));
  const found = statOf(folder);
  if (!found) throw new EbbError(`${flag} ${out}: there is no folder ${folder} to write it into; make it first, or give another file`);
  if (!found.isDirectory()) throw new EbbError(`${flag} ${out}: ${folder} is a file, expected a folder to write it into; give another file`);
  if (statOf(out) && pathKind(out) === 'folder') throw new EbbError(`${flag} ${out}: is a folder, expected a file to write`);
  refuseInputs(out, flag, inputs);
}

/**
 * Checks a folder that is to be written into, or made.
 * @param parts files and folders that are written in it, or removed
 * @throws EbbError where it is a file, or lies in one, and where an input would be written over
 */
export function checkOutFolder(out: string, flag: string, parts: readonly string[], inputs: readonly InputPath[]): void {
  if (out === '') throw new EbbError(`${flag} is empty, expected a folder to write`);
  for (let place = resolve(out); ; place = dirname(place)) {
    const found = statOf(place);
    if (found && !found.isDirectory()) throw new EbbError(`${flag} ${out}: ${place} is a file, expected a folder; give another one`);
    if (found || place === dirname(place)) break;
  }
  const written = parts.map((part) => join(out, part));
  for (const { what, path } of inputs) {
    const over = written.find((part) => isSame(part, path) || isInside(path, part));
    if (over !== undefined) throw new EbbError(`${flag} ${out}: ${over} would be written over ${what}, ${path}; give another folder`);
  }
}
