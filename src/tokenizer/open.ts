/** @file Opens the tokenizer of a Hugging Face folder or a GGUF file. */

import { dirname, join } from 'node:path';
import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { fileSource, pathKind } from '../formats/files.ts';
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

/**
 * The tokenizer of a Hugging Face folder (tokenizer.json, with tokenizer_config.json and chat templates where they are), of the folder a
 * tokenizer.json is in, or of a .gguf file.
 * @throws EbbError for a tokenizer that is missing, broken, or of a kind that cannot be used here
 */
export async function openTokenizer(path: string): Promise<Tokenizer> {
  if (pathKind(path) === 'folder') return buildTokenizer(join(path, 'tokenizer.json'), readTokenizerFolder(path));
  if (path.toLowerCase().endsWith('.gguf')) return buildTokenizer(path, ggufTokenizerFields(path));
  if (path.endsWith('tokenizer.json')) return buildTokenizer(path, readTokenizerFolder(dirname(path)));
  throw new EbbError(`${path}: is no tokenizer, expected a folder, a tokenizer.json or a .gguf file (found ${show(path.split(/[/\\]/).at(-1))})`, 'file');
}
