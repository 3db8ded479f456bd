/** @file Reads a run file. */

import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument, type YAMLParseError, type YAMLWarning } from 'yaml';
import { EbbError } from '../errors.ts';
import { pathKind, readText } from '../formats/files.ts';
import { type RunInput, withNewNames } from '../train/config.ts';

/** The JSON Schema that this package ships. A standalone trainer has none. */
const SCHEMA = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'schema', 'run.json');

/** The first line of a run file in `folder`, by which editors complete and check its keys; empty where there is no schema. */
export function schemaComment(folder: string): string {
  if (!existsSync(SCHEMA)) return '';
  const near = relative(resolve(folder), SCHEMA).split(sep).join('/');
  return `# yaml-language-server: $schema=${near}\n`;
}

/** What is wrong with YAML at a line, in words about run files. */
function yamlText({ code, linePos, message }: YAMLParseError | YAMLWarning): string {
  const text =
    code === 'MULTIPLE_DOCS' ? 'a second document begins, expected the keys of one run; write each run in a file of its own' : message.split(' at line')[0];
  return `line ${linePos?.[0].line ?? 1}: ${text}`;
}

/**
 * The keys of a run file, by their names of today. @param note is told of keys that are given by a name they had in an earlier version, and of what YAML warns of
 * @throws EbbError with every line of what is no YAML, and for a key that is given by both of its names
 */
export function readRunFile(file: string, note: (text: string) => void = () => {}): Partial<RunInput> {
  const document = parseDocument(readText(file));
  const wrong = document.errors.map(yamlText);
  const [only, second] = wrong;
  if (only !== undefined && second === undefined) throw new EbbError(`${file}: ${only}`, 'config');
  if (wrong.length > 0) throw new EbbError([`${file}: is no YAML in ${wrong.length} places`, ...wrong.map((text) => `  ${text}`)].join('\n'), 'config');
  for (const warning of document.warnings) note(`${file}: ${yamlText(warning)}`);
  const run: unknown = document.toJS();
  if (run === null || typeof run !== 'object' || Array.isArray(run))
    throw new EbbError(`${file}: is no list of keys, expected a run configuration (YAML)`, 'config');
  return withNewNames(run, file, note);
}

/** Paths that people give in the place of a run file, and mean as something else. */
const OTHER_KINDS: readonly (readonly [ending: RegExp, what: string, hint: (path: string) => string])[] = [
  [/\.[mc]?ts$/i, 'a model definition', (path) => `--model ${path}`],
  [/\.gguf$/i, 'a model', (path) => `--model ${path}`],
  [/\.(safetensors|bin)$/i, 'no text', (path) => `--data ${path} for ready batches, --weights ${path} for weights of a definition`],
  [/\.(jsonl|ndjson|txt)$/i, 'data', (path) => `--data ${path}`],
];

/** @throws EbbError for what is plainly no run file, with the flag it is given by */
function checkRunFile(file: string): void {
  const wanted = 'expected a run file (YAML)';
  const [, what, hint] = OTHER_KINDS.find(([ending]) => ending.test(file)) ?? [];
  if (what !== undefined && hint) throw new EbbError(`${file}: is ${what}, ${wanted}; give ${hint(file)}`, 'config');
  if (!existsSync(file)) throw new EbbError(`${file}: there is no such file, ${wanted}; a model is named by --model, data by --data`, 'config');
  if (pathKind(file) === 'folder') throw new EbbError(`${file}: is a folder, ${wanted}; if it is a model, give --model ${file}`, 'config');
}

/** The keys of a run file that a person names, none where none is. @throws EbbError for what is plainly something else, and as `readRunFile` */
export function namedRunFile(file: string | undefined, note: (text: string) => void): Partial<RunInput> {
  if (file === undefined) return {};
  checkRunFile(file);
  return readRunFile(file, note);
}
