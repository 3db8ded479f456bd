/** @file Opens the tokenizer of a Hugging Face folder or a GGUF file. */

import { dirname, join } from 'node:path';
import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { fileExists, fileSource, pathKind, readText } from '../formats/files.ts';
import { readGgufHeader } from '../formats/gguf.ts';
import { buildTokenizer } from './build.ts';
import { readTokenizerFolder, type TokenizerFields } from './fields.ts';
import { ggufTokenizer } from './gguf.ts';
import type { Tokenizer } from './tokenizer.ts';

export { buildTokenizer } from './build.ts';
export type { Tokenizer } from './tokenizer.ts';

/** The tokenizer of a GGUF file as Hugging Face writes one: contents of tokenizer.json and tokenizer_config.json. */
export function ggufTokenizerFields(path: string): TokenizerFields {
  return ggufTokenizer(readGgufHeader(fileSource(path)));
}

/** How a tokenizer is opened. */
export interface TokenizerOptions {
  /** A file with a chat template, or the name of one of the templates that there are. Default: as its files say. */
  readonly chatTemplate?: string | undefined;
}

/** The fields with the one chat template that is asked for. @throws EbbError where that is neither a name nor a file */
function withTemplate(where: string, fields: TokenizerFields, wanted: string | undefined): TokenizerFields {
  if (wanted === undefined) return fields;
  const named = fields.templates.get(wanted);
  if (named !== undefined) return { ...fields, templates: new Map([['default', named]]) };
  if (fileExists(wanted) && pathKind(wanted) !== 'folder') return { ...fields, templates: new Map([['default', readText(wanted)]]) };
  const names = [...fields.templates.keys()];
  const has = names.length > 0 ? `its templates are ${names.join(', ')}` : 'it has no templates';
  throw new EbbError(`${where}: chatTemplate (--chat-template) ${wanted} is neither a file nor the name of a template; ${has}`, 'file');
}

/**
 * The tokenizer of a Hugging Face folder (tokenizer.json, with tokenizer_config.json and chat templates where they are), of the folder a
 * tokenizer.json is in, or of a .gguf file.
 * @throws EbbError for a tokenizer that is missing, broken, or of a kind that cannot be used here
 */
export async function openTokenizer(path: string, { chatTemplate }: TokenizerOptions = {}): Promise<Tokenizer> {
  const build = (where: string, fields: TokenizerFields): Promise<Tokenizer> => buildTokenizer(where, withTemplate(where, fields, chatTemplate));
  if (pathKind(path) === 'folder') return build(join(path, 'tokenizer.json'), readTokenizerFolder(path));
  if (path.toLowerCase().endsWith('.gguf')) return build(path, ggufTokenizerFields(path));
  if (path.endsWith('tokenizer.json')) return build(path, readTokenizerFolder(dirname(path)));
  throw new EbbError(`${path}: is no tokenizer, expected a folder, a tokenizer.json or a .gguf file (found ${show(path.split(/[/\\]/).at(-1))})`, 'file');
}
