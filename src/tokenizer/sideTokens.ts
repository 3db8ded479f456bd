/**
 * @file The tokens that the files beside a tokenizer.json name, settled as transformers 5 settles them: tokenizer_config.json with its
 * added_tokens_decoder, or else special_tokens_map.json and added_tokens.json.
 */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { type AddedToken, addedToken, addedTokensOf, differentFlags, withTokens } from './addedTokens.ts';
import { tokenName } from './templates.ts';

/** What the files say, each of which may be missing. */
export interface SideFiles {
  /** tokenizer_config.json. */
  readonly config: JsonObject;
  /** special_tokens_map.json. */
  readonly map: JsonObject;
  /** added_tokens.json: tokens and their ids. */
  readonly added: JsonObject;
}

/** What they come to. */
export interface Settled {
  readonly json: JsonObject;
  readonly config: JsonObject;
  /** Which file was followed where they contradict one another, and which tokens were added. */
  readonly notes: readonly string[];
}

/** The tokens that every tokenizer may name, in the order in which they are numbered. */
const NAMED = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'];

/** A token that a file adds, and the id it says the token has. */
interface Numbered {
  readonly id: number;
  readonly token: AddedToken;
}

const isNone = (value: Json | undefined): boolean => value === undefined || value === null || (Array.isArray(value) && value.length === 0);

/** Further special tokens: a list, or tokens by their names. They went by another name in older files. */
function extraTokens({ extra_special_tokens: extra, additional_special_tokens: older }: JsonObject): Json | undefined {
  return isNone(extra) ? older : extra;
}

/** Names of tokens and the tokens: those every tokenizer may have, and those of one's own (`…_token`), such as image_token. */
function namedTokens(config: JsonObject): readonly (readonly [name: string, token: AddedToken])[] {
  const extra = extraTokens(config);
  const own = Object.keys(config).filter((key) => key.endsWith('_token') && !NAMED.includes(key));
  const all: [string, Json | undefined][] = [...NAMED, ...own].map((key) => [key, config[key]]);
  return [...all, ...Object.entries(isObject(extra) ? extra : {})].flatMap(([name, value]) => {
    const token = addedToken(value, true);
    return token === null ? [] : [[name, { ...token, special: true }] as const];
  });
}

/** The tokens of an added_tokens_decoder. @throws EbbError for what is no token with an id */
function decoderTokens(path: string, decoder: JsonObject): readonly Numbered[] {
  return Object.entries(decoder)
    .map(([id, value]) => {
      const token = isObject(value) ? addedToken(value, false) : null;
      if (!token || !/^\d+$/.test(id))
        throw new EbbError(`${path}: added_tokens_decoder.${id} is ${show(value)}, expected an id with an object that holds the token's content`, 'file');
      return { id: Number(id), token };
    })
    .sort((a, b) => a.id - b.id);
}

/** The tokens of an added_tokens.json. @throws EbbError for what is no token with an id */
function fileTokens(path: string, added: JsonObject, special: ReadonlySet<string>): readonly Numbered[] {
  return Object.entries(added)
    .map(([content, id]) => {
      const token = addedToken(content, special.has(content));
      if (!token || !Number.isInteger(id)) throw new EbbError(`${path}: ${show(content)} is ${show(id)}, expected the id of a token`, 'file');
      return { id: Number(id), token };
    })
    .sort((a, b) => a.id - b.id);
}

/** The fields of tokenizer_config.json with those of special_tokens_map.json, which is read where there is no added_tokens_decoder. */
function withMap(path: string, { config, map }: SideFiles): Pick<Settled, 'config' | 'notes'> {
  const other = Object.keys(map).flatMap((key) => {
    const [own, told] = [tokenName(config[key]), tokenName(map[key])];
    return told === null || own === told ? [] : [{ key, own, text: `${path}: special_tokens_map.json says ${key} ${JSON.stringify(told)}` }];
  });
  const says = (own: string | null): string => (own === null ? 'names none' : `says ${JSON.stringify(own)}`);
  if (config['added_tokens_decoder'] !== undefined) {
    const why = 'it is not used, as transformers reads it only where there is no added_tokens_decoder';
    return { config, notes: other.map(({ own, text }) => `${text}, tokenizer_config.json ${says(own)}: ${why}`) };
  }
  const [own, further] = [config['extra_special_tokens'], map['extra_special_tokens']];
  const both = Array.isArray(own) && Array.isArray(further) ? { extra_special_tokens: [...own, ...further] } : {};
  const contradicted = other.filter((one) => one.own !== null);
  return {
    config: { ...config, ...map, ...both },
    notes: contradicted.map((one) => `${one.text}, tokenizer_config.json ${says(one.own)}: the map is followed, as transformers does`),
  };
}

/** The tokens that the files beside tokenizer.json describe with an id. */
function describedTokens(path: string, files: SideFiles, config: JsonObject): readonly Numbered[] {
  const { added_tokens_decoder: decoder } = files.config;
  if (decoder !== undefined) return isObject(decoder) ? decoderTokens(`${path}: tokenizer_config.json`, decoder) : [];
  const extra = extraTokens(config);
  const special = new Set([
    ...namedTokens(config).map(([, { content }]) => content),
    ...(Array.isArray(extra) ? extra : []).flatMap((e) => tokenName(e) ?? []),
  ]);
  return fileTokens(`${path}: added_tokens.json`, files.added, special);
}

/** The tokens that come to those of a tokenizer.json. */
interface Further {
  /** Those that files describe with an id. */
  readonly described: readonly Numbered[];
  /** Those that are named as special ones and nowhere described. */
  readonly lacking: readonly AddedToken[];
  /** The file that describes them. */
  readonly from: string;
}

/** What is to be said of tokens that came to those of a tokenizer.json: which are described otherwise, numbered otherwise, and added. */
function furtherNotes(path: string, before: JsonObject, after: JsonObject, { described, lacking, from }: Further): readonly string[] {
  const own = new Map(addedTokensOf(before).map((token) => [String(token['content']), token]));
  const ids = new Map(addedTokensOf(after).map(({ content, id }) => [String(content), Number(id)]));
  const changed = described.flatMap(({ token }) => {
    const known = addedToken(own.get(token.content), false);
    const flags = known ? differentFlags(known, token).join(', ') : '';
    return flags === '' ? [] : [`${path}: ${from} describes ${JSON.stringify(token.content)} otherwise than tokenizer.json (${flags}), and is followed`];
  });
  const moved = described.flatMap(({ id, token: { content } }) => {
    const given = ids.get(content);
    return given === id ? [] : [`${path}: ${from} gives ${JSON.stringify(content)} the id ${id}; it is token ${given}, as transformers numbers it`];
  });
  const added = [...described.map(({ token }) => token), ...lacking].filter(({ content }) => !own.has(content));
  const listed = added.map(({ content }) => `${JSON.stringify(content)} (token ${ids.get(content)})`).join(', ');
  const lacks = `${path}: the added_tokens of tokenizer.json lack ${listed}, which the files beside it name: added, as transformers does`;
  return [...changed, ...moved, ...(listed === '' ? [] : [lacks])];
}

/** Says which tokens of an added_tokens.json nothing reads. */
function unusedNotes(path: string, { config, added }: SideFiles, json: JsonObject): readonly string[] {
  if (config['added_tokens_decoder'] === undefined) return [];
  const known = new Set(addedTokensOf(json).map(({ content }) => content));
  const unused = Object.keys(added).filter((content) => !known.has(content));
  const listed = unused.map((content) => JSON.stringify(content)).join(', ');
  return unused.length === 0 ? [] : [`${path}: added_tokens.json is not used, as tokenizer_config.json has an added_tokens_decoder: ${listed} is no token`];
}

/**
 * Puts the tokens of the files beside a tokenizer.json to its own, as transformers does: those that are described otherwise are followed in their
 * flags, and those that it lacks are added, numbered behind all others.
 * @param path begins every note and error: the folder
 * @throws EbbError for what describes no token
 */
export function withSideTokens(path: string, json: JsonObject, files: SideFiles): Settled {
  const { config, notes } = withMap(path, files);
  const isFromDecoder = files.config['added_tokens_decoder'] !== undefined;
  const own = new Map(addedTokensOf(json).map((token) => [String(token['content']), token]));
  const ownIds = new Set(addedTokensOf(json).map(({ id }) => id));
  const named = namedTokens(config);
  const specials = new Set(named.map(([, { content }]) => content));
  const described = describedTokens(path, files, config)
    .filter(({ id, token }) => {
      const known = addedToken(own.get(token.content), false);
      // tokenizer.json comes before added_tokens.json where both describe an id
      return (isFromDecoder || !ownIds.has(id)) && (!known || differentFlags(known, token).length > 0);
    })
    .map(({ id, token }) => ({ id, token: specials.has(token.content) ? { ...token, special: true } : token }));
  const extra = extraTokens(config);
  const extras = (Array.isArray(extra) ? extra : []).flatMap((value) => addedToken(value, true) ?? []);
  const has = new Set([...own.keys(), ...described.map(({ token }) => token.content)]);
  const lacking = [...named.map(([, token]) => token), ...extras].filter(({ content }) => content !== '' && !has.has(content) && has.add(content));
  const settled = withTokens(json, [...described.map(({ token }) => token), ...lacking]);
  const from = isFromDecoder ? "tokenizer_config.json's added_tokens_decoder" : 'added_tokens.json';
  return {
    json: settled,
    config: { ...config, ...Object.fromEntries(named.map(([name, { content }]) => [name, content])) },
    notes: [...notes, ...furtherNotes(path, json, settled, { described, lacking, from }), ...unusedNotes(path, files, settled)],
  };
}
