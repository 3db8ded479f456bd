/** @file Reads a run file. */

import { parseDocument } from 'yaml';
import { EbbError } from '../errors.ts';
import { readText } from '../formats/files.ts';
import { type RunInput, withNewNames } from '../train/config.ts';

/**
 * The keys of a run file, by their names of today. @param note is told of keys that are given by a name they had in an earlier version
 * @throws EbbError with the line of what is no YAML, and for a key that is given by both of its names
 */
export function readRunFile(file: string, note: (text: string) => void = () => {}): Partial<RunInput> {
  const document = parseDocument(readText(file));
  const [error] = document.errors;
  if (error) throw new EbbError(`${file}: line ${error.linePos?.[0].line ?? 1}: ${error.message.split(' at line')[0]}`);
  const run: unknown = document.toJS();
  if (run === null || typeof run !== 'object' || Array.isArray(run)) throw new EbbError(`${file}: is no list of keys, expected a run configuration (YAML)`);
  return withNewNames(run, file, note);
}
