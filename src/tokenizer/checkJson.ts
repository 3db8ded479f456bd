/** @file Strict checks of a tokenizer.json before a library sees it: what it would accept silently and get wrong. */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';

/** No vocabulary is larger; a table of this many entries is affordable. */
const MAX_ID = 2 ** 24;
const MODELS = ['BPE', 'Unigram', 'WordPiece', 'WordLevel'];

function checkId(where: string, token: string, id: Json | undefined): number {
  if (Number.isInteger(id) && Number(id) >= 0 && Number(id) < MAX_ID) return Number(id);
  throw new EbbError(`${where}: token ${show(token)} has id ${show(id)}, expected a whole number from 0 to ${MAX_ID - 1}`);
}

function modelType(where: string, model: JsonObject): string {
  // Files of old versions have no type: merges make a BPE.
  const type = model['type'] ?? (model['merges'] ? 'BPE' : undefined);
  if (typeof type === 'string' && MODELS.includes(type)) return type;
  throw new EbbError(`${where}: model.type is ${type === undefined ? 'missing' : show(type)}, expected ${MODELS.join(', ')}`);
}

/** Token → id of a BPE or WordPiece vocabulary; every id once. */
function checkVocab(where: string, model: JsonObject): Map<string, number> {
  const { vocab } = model;
  if (!isObject(vocab) || Object.keys(vocab).length === 0)
    throw new EbbError(`${where}: model.vocab is ${show(vocab)}, expected an object of tokens and their ids`);
  const ids = new Map<number, string>();
  const result = new Map<string, number>();
  for (const [token, raw] of Object.entries(vocab)) {
    const id = checkId(where, token, raw);
    const other = ids.get(id);
    if (other !== undefined) throw new EbbError(`${where}: tokens ${show(other)} and ${show(token)} share the id ${id}, expected an id for each`);
    ids.set(id, token);
    result.set(token, id);
  }
  return result;
}

/** Token → id of a Unigram vocabulary: a list of [token, score], the place being the id. */
function checkPieces(where: string, model: JsonObject): Map<string, number> {
  const { vocab, unk_id: unknown } = model;
  if (!Array.isArray(vocab) || vocab.length === 0) throw new EbbError(`${where}: model.vocab is ${show(vocab)}, expected a list of tokens and their scores`);
  const result = new Map<string, number>();
  vocab.forEach((entry, id) => {
    if (!Array.isArray(entry) || typeof entry[0] !== 'string' || typeof entry[1] !== 'number') {
      throw new EbbError(`${where}: model.vocab[${id}] is ${show(entry)}, expected [token, score]`);
    }
    result.set(entry[0], id);
  });
  if (unknown !== undefined && unknown !== null && !(Number.isInteger(unknown) && Number(unknown) >= 0 && Number(unknown) < vocab.length)) {
    throw new EbbError(`${where}: model.unk_id is ${show(unknown)}, expected the place of a token, less than ${vocab.length}`);
  }
  return result;
}

function checkMerges(where: string, model: JsonObject, vocab: ReadonlyMap<string, number>): void {
  const { merges } = model;
  if (!Array.isArray(merges)) throw new EbbError(`${where}: model.merges is ${show(merges)}, expected a list`);
  const prefix = typeof model['continuing_subword_prefix'] === 'string' ? model['continuing_subword_prefix'] : '';
  const style = Array.isArray(merges[0]);
  merges.forEach((merge, i) => {
    const parts = typeof merge === 'string' ? merge.split(' ') : merge;
    const [left, right] = Array.isArray(parts) && parts.length === 2 ? parts : [];
    if (typeof left !== 'string' || typeof right !== 'string' || Array.isArray(merge) !== style) {
      throw new EbbError(`${where}: model.merges[${i}] is ${show(merge)}, expected a pair of tokens`);
    }
    for (const token of [left, right, left + right.slice(prefix.length)]) {
      if (!vocab.has(token)) throw new EbbError(`${where}: model.merges[${i}] is ${show(merge)}, but ${show(token)} is not in the vocabulary`);
    }
  });
}

function checkAdded(where: string, added: Json | undefined, vocab: ReadonlyMap<string, number>): void {
  if (added === undefined || added === null) return;
  if (!Array.isArray(added)) throw new EbbError(`${where}: added_tokens is ${show(added)}, expected a list`);
  const ids = new Map([...vocab].map(([token, id]) => [id, token]));
  added.forEach((entry, i) => {
    if (!isObject(entry) || typeof entry['content'] !== 'string' || entry['content'] === '') {
      throw new EbbError(`${where}: added_tokens[${i}] is ${show(entry)}, expected an object with id and content`);
    }
    const id = checkId(where, entry['content'], entry['id']);
    const other = ids.get(id);
    if (other !== undefined && other !== entry['content']) {
      throw new EbbError(`${where}: tokens ${show(other)} and ${show(entry['content'])} share the id ${id}, expected an id for each`);
    }
    ids.set(id, entry['content']);
  });
}

/** Added tokens with all of their flags, which older files leave out. */
const withFlags = (added: Json | undefined): Json =>
  Array.isArray(added)
    ? added.map((token) =>
        isObject(token) ? { single_word: false, lstrip: false, rstrip: false, normalized: token['special'] !== true, special: false, ...token } : token,
      )
    : [];

/** The fields of a tokenizer.json with their defaults, checked; `where` begins every error. */
export function checkTokenizerJson(where: string, fields: JsonObject): JsonObject {
  const { model } = fields;
  if (!isObject(model)) throw new EbbError(`${where}: model is ${model === undefined ? 'missing' : show(model)}, expected an object (is it a tokenizer.json?)`);
  const type = modelType(where, model);
  const vocab = type === 'Unigram' ? checkPieces(where, model) : checkVocab(where, model);
  if (type === 'BPE') checkMerges(where, model, vocab);
  checkAdded(where, fields['added_tokens'], vocab);
  const defaults = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  return { ...defaults, ...fields, model: { ...model, type }, added_tokens: withFlags(fields['added_tokens']) };
}

/** Token → id of a tokenizer.json that was checked, added tokens among them. */
export function vocabularyOf({ model, added_tokens: added }: JsonObject): ReadonlyMap<string, number> {
  const vocab = isObject(model) ? model['vocab'] : undefined;
  const pieces = Array.isArray(vocab) ? vocab.map((piece, id): [string, number] => [String(Array.isArray(piece) ? piece[0] : piece), id]) : [];
  const tokens = new Map(isObject(vocab) ? Object.entries(vocab).map(([token, id]): [string, number] => [token, Number(id)]) : pieces);
  for (const token of Array.isArray(added) ? added : []) if (isObject(token)) tokens.set(String(token['content']), Number(token['id']));
  return tokens;
}
