/** @file The files of a tokenizer in a Hugging Face folder, put together as transformers does. */

import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { EbbError } from '../errors.ts';
import { fileExists, pathKind, readText } from '../formats/files.ts';
import { isObject, type JsonObject, parseJsonObject } from '../formats/json.ts';
import { templatesOf } from './templates.ts';

/** What a tokenizer.json and the files beside it say. */
export interface TokenizerFields {
  /** Of tokenizer.json. */
  readonly json: JsonObject;
  /** Of tokenizer_config.json and special_tokens_map.json. */
  readonly config: JsonObject;
  /** Chat templates by their names. */
  readonly templates: ReadonlyMap<string, string>;
}

const optionalObject = (path: string): JsonObject => (fileExists(path) ? parseJsonObject(path, readText(path)) : {});

/** The templates of a folder: chat_template.jinja comes before what tokenizer_config.json says, and further ones lie in a folder of their own. */
function readTemplates(folder: string, config: JsonObject): ReadonlyMap<string, string> {
  const templates = new Map(templatesOf(join(folder, 'tokenizer_config.json'), config['chat_template']));
  const own = join(folder, 'chat_template.jinja');
  if (fileExists(own)) templates.set('default', readText(own));
  const further = join(folder, 'additional_chat_templates');
  if (fileExists(further) && pathKind(further) === 'folder')
    for (const file of readdirSync(further)
      .filter((name) => name.endsWith('.jinja'))
      .sort())
      templates.set(basename(file, '.jinja'), readText(join(further, file)));
  return templates;
}

/** Tokens that tokenizer_config.json adds to those of tokenizer.json. */
function withAddedTokens(json: JsonObject, config: JsonObject): JsonObject {
  const { added_tokens: own = [] } = json;
  const { added_tokens_decoder: decoder } = config;
  if (!isObject(decoder) || !Array.isArray(own)) return json;
  const known = new Set(own.flatMap((entry) => (isObject(entry) ? [entry['content']] : [])));
  const further = Object.entries(decoder).flatMap(([id, entry]): JsonObject[] => {
    if (!isObject(entry) || typeof entry['content'] !== 'string' || known.has(entry['content'])) return [];
    const { content, single_word = false, lstrip = false, rstrip = false, normalized = false, special = false } = entry;
    return [{ id: Number(id), content, single_word, lstrip, rstrip, normalized, special }];
  });
  return further.length === 0 ? json : { ...json, added_tokens: [...own, ...further] };
}

/** @throws EbbError where there is no tokenizer.json, and naming the file that is broken */
export function readTokenizerFolder(folder: string): TokenizerFields {
  const path = join(folder, 'tokenizer.json');
  if (!fileExists(path)) throw new EbbError(`${folder}: holds no tokenizer.json, expected one beside the model`, 'file');
  const special = optionalObject(join(folder, 'special_tokens_map.json'));
  const config = { ...special, ...optionalObject(join(folder, 'tokenizer_config.json')) };
  return { json: withAddedTokens(parseJsonObject(path, readText(path)), config), config, templates: readTemplates(folder, config) };
}
