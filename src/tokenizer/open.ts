/** @file Tokenizers on disk: of a Hugging Face folder, or in a GGUF file. */

import { dirname, join } from 'node:path';
import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { fileExists, fileSource, pathKind, readText } from '../formats/files.ts';
import { readGgufHeader } from '../formats/gguf.ts';
import { type JsonObject, parseJsonObject } from '../formats/json.ts';
import { ggufTokenizer, type TokenizerFields } from './gguf.ts';
import { buildTokenizer, type Tokenizer } from './port.ts';

export { buildTokenizer, type Tokenizer } from './port.ts';

function optionalObject(path: string): JsonObject {
  return fileExists(path) ? parseJsonObject(path, readText(path)) : {};
}

function readFolder(folder: string): TokenizerFields {
  const path = join(folder, 'tokenizer.json');
  if (!fileExists(path)) throw new EbbError(`${folder}: holds no tokenizer.json, expected one beside the model`);
  const special = optionalObject(join(folder, 'special_tokens_map.json'));
  const config = { ...special, ...optionalObject(join(folder, 'tokenizer_config.json')) };
  const template = join(folder, 'chat_template.jinja');
  if (fileExists(template)) config['chat_template'] = readText(template);
  return { json: parseJsonObject(path, readText(path)), config };
}

/** The tokenizer of a GGUF file as Hugging Face writes one: contents of tokenizer.json and tokenizer_config.json. */
export function ggufTokenizerFields(path: string): TokenizerFields {
  return ggufTokenizer(readGgufHeader(fileSource(path)));
}

/**
 * The tokenizer of a Hugging Face folder (tokenizer.json, with tokenizer_config.json and chat_template.jinja where they are), of the
 * folder a tokenizer.json is in, or of a .gguf file. Unknown kinds are refused by name.
 */
export function openTokenizer(path: string): Tokenizer {
  if (pathKind(path) === 'folder') return buildTokenizer(join(path, 'tokenizer.json'), readFolder(path));
  if (path.toLowerCase().endsWith('.gguf')) return buildTokenizer(path, ggufTokenizerFields(path));
  if (path.endsWith('tokenizer.json')) return buildTokenizer(path, readFolder(dirname(path)));
  throw new EbbError(`${path}: is no tokenizer, expected a folder, a tokenizer.json or a .gguf file (found ${show(path.split(/[/\\]/).at(-1))})`);
}
