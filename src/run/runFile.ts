/** @file Reads a run file. */

import { parseDocument } from 'yaml';
import { EbbError } from '../errors.ts';
import { readText } from '../formats/files.ts';
import type { RunInput } from '../train/config.ts';

/** The keys of a run file. @throws EbbError with the line of what is no YAML */
export function readRunFile(file: string): Partial<RunInput> {
  const document = parseDocument(readText(file));
  const [error] = document.errors;
  if (error) throw new EbbError(`${file}: line ${error.linePos?.[0].line ?? 1}: ${error.message.split(' at line')[0]}`);
  const run: unknown = document.toJS();
  if (run === null || typeof run !== 'object' || Array.isArray(run)) throw new EbbError(`${file}: is no list of keys, expected a run configuration (YAML)`);
  return run;
}
