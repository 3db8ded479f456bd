/** @file Added tokens: the ids that the reference gives them, and those that the files beside a tokenizer.json add, as transformers 5 adds them. */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { vocabularyOf } from './checkJson.ts';

const FLAGS = ['single_word', 'lstrip', 'rstrip', 'normalized', 'special'] as const;

/** An added token, whose id is the reference's affair. */
export interface AddedToken extends Readonly<Record<(typeof FLAGS)[number], boolean>> {
  readonly content: string;
}

/** A token that files describe by its name alone, or by an object with its flags; null for anything else. @param special where it does not say itself */
export function addedToken(value: Json | undefined, special: boolean): AddedToken | null {
  if (typeof value === 'string') return addedToken({ content: value }, special);
  if (!isObject(value) || typeof value['content'] !== 'string') return null;
  const { content, single_word = false, lstrip = false, rstrip = false, special: own = special } = value;
  const { normalized = own !== true } = value;
  return {
    content,
    single_word: single_word === true,
    lstrip: lstrip === true,
    rstrip: rstrip === true,
    normalized: normalized === true,
    special: own === true,
  };
}

/** The flags in which two tokens differ. */
export const differentFlags = (a: AddedToken, b: AddedToken): readonly string[] => FLAGS.filter((flag) => a[flag] !== b[flag]);

/** The added tokens of a tokenizer.json. */
export const addedTokensOf = ({ added_tokens: added }: JsonObject): readonly JsonObject[] => (Array.isArray(added) ? added.filter(isObject) : []);

/** The ids of a model's own tokens. */
const modelVocabulary = ({ model = null }: JsonObject): ReadonlyMap<string, number> => vocabularyOf({ model });

/** How many tokens the model itself has, as the reference counts them. */
function modelSize({ model }: JsonObject): number {
  const vocab = isObject(model) ? model['vocab'] : undefined;
  return Array.isArray(vocab) ? vocab.length : Object.keys(isObject(vocab) ? vocab : {}).length;
}

/** Numbers added tokens as the reference does: by the model's vocabulary, else behind all that there are. */
function numbers(json: JsonObject): (contents: readonly string[]) => ReadonlyMap<string, number> {
  const vocabulary = modelVocabulary(json);
  const size = modelSize(json);
  return (contents) => {
    const ids = new Map<string, number>();
    let largest = -1;
    for (const content of contents) {
      const id = ids.get(content) ?? vocabulary.get(content) ?? Math.max(size, largest + 1);
      ids.set(content, id);
      largest = Math.max(largest, id);
    }
    return ids;
  };
}

/** @param idOf the ids that the reference gives @throws EbbError for an added token that it would give another id than tokenizer.json says */
export function checkNumbers(path: string, json: JsonObject, idOf: (content: string) => number | null | undefined): void {
  for (const { content, id } of addedTokensOf(json)) {
    const given = idOf(String(content));
    if (given === id) continue;
    const why = modelVocabulary(json).has(String(content)) ? 'as the vocabulary of its model says' : 'as ids have no holes there';
    throw new EbbError(`${path}: added token ${show(content)} has id ${show(id)}, and tokenizers gives it ${given}, ${why}; number the tokens through`, 'file');
  }
}

/** The ids that the reference gives to the added tokens of a tokenizer.json. */
export function referenceIds(json: JsonObject): ReadonlyMap<string, number> {
  return numbers(json)(addedTokensOf(json).map(({ content }) => String(content)));
}

/** Adds tokens as the reference does: one that it has gets the flags of the new one, and others are numbered. */
export function withTokens(json: JsonObject, further: readonly AddedToken[]): JsonObject {
  if (further.length === 0) return json;
  const own = addedTokensOf(json);
  const ids = numbers(json)([...own, ...further].map(({ content }) => String(content)));
  const tokens = new Map<string, JsonObject>(own.map((token) => [String(token['content']), token]));
  for (const token of further) tokens.set(token.content, { id: ids.get(token.content) ?? 0, ...token });
  return { ...json, added_tokens: [...tokens.values()] };
}
