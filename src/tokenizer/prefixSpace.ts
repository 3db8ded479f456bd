/** @file The space that is put before a text: what add_prefix_space of tokenizer_config.json means beside a tokenizer.json that says it itself. */

import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { partsWithin } from './places.ts';
import type { Settled } from './sideTokens.ts';

/** Classes of transformers that make their pre-tokenizer themselves, by add_prefix_space. */
const BY_CONFIG = /^(GPT2|Qwen2|GPTNeoX|CodeGen)Tokenizer(Fast)?$/;

/** Whether tokenizer.json puts a space before a text. */
function putsSpace({ normalizer, pre_tokenizer: pre }: JsonObject): boolean {
  const parts = [...partsWithin(normalizer), ...partsWithin(pre)];
  return parts.some(({ type, prepend_scheme: scheme, add_prefix_space: added }) => {
    if (type === 'Metaspace') return scheme === undefined ? added !== false : scheme !== 'never';
    return type === 'Prepend' || (type === 'ByteLevel' && added !== false);
  });
}

/** A pre-tokenizer whose byte-level part puts a space before a text, or does not. */
function withByteLevel(part: Json, space: boolean): Json {
  if (Array.isArray(part)) return part.map((inner) => withByteLevel(inner, space));
  if (!isObject(part)) return part;
  const inner = Object.fromEntries(Object.entries(part).map(([key, value]) => [key, withByteLevel(value ?? null, space)]));
  return part['type'] === 'ByteLevel' ? { ...inner, add_prefix_space: space } : inner;
}

/** Settles add_prefix_space as transformers does, and says where it contradicts tokenizer.json. @param path begins every note */
export function withPrefixSpace(path: string, { json, config }: Pick<Settled, 'json' | 'config'>): Pick<Settled, 'json' | 'notes'> {
  const { add_prefix_space: wanted, tokenizer_class: kind } = config;
  const puts = putsSpace(json);
  if (typeof wanted !== 'boolean' || wanted === puts) return { json, notes: [] };
  const says = `${path}: add_prefix_space is ${wanted} in tokenizer_config.json, and tokenizer.json puts ${puts ? 'a' : 'no'} space before a text`;
  const pre = json['pre_tokenizer'] ?? null;
  const isByteLevel = partsWithin(pre).some(({ type }) => type === 'ByteLevel');
  if (!isByteLevel || !BY_CONFIG.test(String(kind))) return { json, notes: [`${says}: tokenizer.json is followed`] };
  const followed = `${says}: tokenizer_config.json is followed, as transformers' ${String(kind)} does`;
  return { json: { ...json, pre_tokenizer: withByteLevel(pre, wanted) }, notes: [followed] };
}
