/** @file The files of a tokenizer in a Hugging Face folder, put together as transformers does. */

import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { EbbError } from '../errors.ts';
import { fileExists, pathKind, readText } from '../formats/files.ts';
import { isObject, type JsonObject, parseJsonObject } from '../formats/json.ts';
import { endNotes } from './ends.ts';
import { withPrefixSpace } from './prefixSpace.ts';
import { withSideTokens } from './sideTokens.ts';
import { templatesOf } from './templates.ts';

/** What a tokenizer.json and the files beside it say. */
export interface TokenizerFields {
  /** Of tokenizer.json. */
  readonly json: JsonObject;
  /** Of tokenizer_config.json and special_tokens_map.json. */
  readonly config: JsonObject;
  /** Chat templates by their names. */
  readonly templates: ReadonlyMap<string, string>;
  /** Where the files contradict one another, and which of them is followed. */
  readonly notes?: readonly string[];
}

const optionalObject = (path: string): JsonObject => (fileExists(path) ? parseJsonObject(path, readText(path)) : {});

/** The templates in files of their own: chat_template.jinja, and further ones in a folder. */
function templateFiles(folder: string): ReadonlyMap<string, string> {
  const templates = new Map<string, string>();
  const own = join(folder, 'chat_template.jinja');
  if (fileExists(own)) templates.set('default', readText(own));
  const further = join(folder, 'additional_chat_templates');
  if (existsSync(further) && pathKind(further) === 'folder')
    for (const file of readdirSync(further)
      .filter((name) => name.endsWith('.jinja'))
      .sort())
      templates.set(basename(file, '.jinja'), readText(join(further, file)));
  return templates;
}

/** The templates of a folder: where there are files of them, those in tokenizer_config.json are not read, as in transformers. */
function readTemplates(folder: string, config: JsonObject): Pick<TokenizerFields, 'templates'> & { readonly notes: readonly string[] } {
  const inConfig = templatesOf(join(folder, 'tokenizer_config.json'), config['chat_template']);
  const templates = templateFiles(folder);
  if (templates.size === 0) return { templates: inConfig, notes: [] };
  const lost = [...inConfig].filter(([name, template]) => templates.get(name) !== template).map(([name]) => name);
  if (lost.length === 0) return { templates, notes: [] };
  const files = [templates.has('default') ? 'chat_template.jinja' : '', templates.size > (templates.has('default') ? 1 : 0) ? 'additional_chat_templates' : ''];
  const where = files.filter((file) => file !== '').join(' and ');
  const notes = [`${folder}: chat_template in tokenizer_config.json (${lost.join(', ')}) is not used: ${where} beside it comes first, as in transformers`];
  return { templates, notes };
}

/** @throws EbbError where there is no tokenizer.json, and naming the file that is broken */
export function readTokenizerFolder(folder: string): TokenizerFields {
  const path = join(folder, 'tokenizer.json');
  if (!fileExists(path)) throw new EbbError(`${folder}: holds no tokenizer.json, expected one beside the model`, 'file');
  const [config, map, added] = ['tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'].map((file) => optionalObject(join(folder, file)));
  const settled = withSideTokens(folder, parseJsonObject(path, readText(path)), { config: config ?? {}, map: map ?? {}, added: added ?? {} });
  if (settled.config['split_special_tokens'] === true)
    throw new EbbError(
      `${folder}: split_special_tokens is true in tokenizer_config.json, so that control tokens in a text would be taken apart, those of chat templates too; Ebb does not do this: set it to false`,
      'file',
    );
  const { templates, notes } = readTemplates(folder, settled.config);
  const spaced = withPrefixSpace(folder, settled);
  const model = optionalObject(join(folder, 'config.json'));
  const text = isObject(model['text_config']) ? model['text_config'] : {};
  const ends = endNotes(folder, spaced, settled.config, { model: { ...text, ...model }, generation: optionalObject(join(folder, 'generation_config.json')) });
  return { json: spaced.json, config: settled.config, templates, notes: [...settled.notes, ...spaced.notes, ...notes, ...ends] };
}
