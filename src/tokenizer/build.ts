/** @file A tokenizer out of the fields of its files. */

import { EbbError } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { checkTokenizerJson, vocabularyOf } from './checkJson.ts';
import type { TokenizerEngine } from './engine.ts';
import type { TokenizerFields } from './fields.ts';
import { frameOf, framingOf } from './framing.ts';
import { rustEngine } from './rust.ts';
import { chatTemplates, tokenName } from './templates.ts';
import type { Tokenizer } from './tokenizer.ts';
import { halfPair, isWhole } from './wholeText.ts';

/** Which implementation encodes: the reference where it is installed, else the port. */
export type EngineChoice = (path: string, json: JsonObject) => Promise<TokenizerEngine>;

/** The reference where it is installed, else the port. */
export const best: EngineChoice = async (path, json) => (await rustEngine(path, json)) ?? (await import('./port.ts')).portEngine(path, json);

/** What transformers tidies up of a decoded text where tokenizer_config.json asks for it (clean_up_tokenization). */
const cleaned = (text: string): string =>
  text
    .replaceAll(' .', '.')
    .replaceAll(' ?', '?')
    .replaceAll(' !', '!')
    .replaceAll(' ,', ',')
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");

/** What a model writes for what it does not cover; null where it names nothing. */
function modelUnknown(model: Json | undefined, vocabulary: ReadonlyMap<string, number>): number | null {
  const { unk_token: token, unk_id: id } = isObject(model) ? model : {};
  if (typeof id === 'number') return id;
  return typeof token === 'string' ? (vocabulary.get(token) ?? null) : null;
}

/**
 * A tokenizer from the fields of its files. @param path begins every error @param engineOf chooses the implementation
 * @throws EbbError for a tokenizer that is broken or cannot be used here
 */
export async function buildTokenizer(path: string, fields: TokenizerFields, engineOf: EngineChoice = best): Promise<Tokenizer> {
  const { config, templates } = fields;
  const json = checkTokenizerJson(path, fields.json);
  const vocabulary = vocabularyOf(json);
  const tokens = new Map([...vocabulary].map(([token, id]) => [id, token]));
  const frame = frameOf(path, json['post_processor']);
  const engine = await engineOf(path, json);
  const notes: string[] = [...(fields.notes ?? [])];
  const id = (key: string): number | null => {
    const token = tokenName(config[key]);
    if (token === null) return null;
    const found = vocabulary.get(token);
    if (found === undefined) notes.push(`${path}: tokenizer_config.json names ${JSON.stringify(token)} as ${key}, which is no token; it is not used`);
    return found ?? null;
  };
  const controls = new Set(
    (Array.isArray(json['added_tokens']) ? json['added_tokens'] : []).flatMap((t) => (isObject(t) && t['special'] === true ? [Number(t['id'])] : [])),
  );
  const [bosTokenId, eosTokenId, padTokenId] = [id('bos_token'), id('eos_token'), id('pad_token')];
  const cleans = config['clean_up_tokenization_spaces'] === true;
  const encode: Tokenizer['encode'] = async (texts, { special = false } = {}) => {
    const broken = texts.find((text) => !isWhole(text));
    if (broken !== undefined) throw new EbbError(`${path}: ${halfPair(broken)}`, 'input');
    return engine.encode(texts, special);
  };
  return {
    path,
    vocabSize: [...tokens.keys()].reduce((most, token) => Math.max(most, token + 1), 0),
    bosTokenId,
    eosTokenId,
    endTokenIds: [...new Set([eosTokenId, id('eot_token'), id('eom_token')].flatMap((end) => end ?? []))],
    padTokenId,
    unknownTokenId: modelUnknown(json['model'], vocabulary),
    templates: chatTemplates(path, templates, config),
    framing: framingOf(frame, eosTokenId),
    notes,
    encode,
    async ids(text) {
      const [encoded] = await encode([text]);
      return encoded?.ids ?? [];
    },
    async decode(ids, { skipSpecial = false } = {}) {
      const known = ids.filter((token) => tokens.has(token));
      if (known.length === 0) return '';
      const text = await engine.decode(known, skipSpecial);
      return cleans ? cleaned(text) : text;
    },
    tokenId: (token) => vocabulary.get(token),
    token: (token) => tokens.get(token),
    isControl: (token) => controls.has(token),
  };
}
