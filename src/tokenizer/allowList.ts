/** @file What the port does as the reference does, by kind, behaviour and options: what golden and random tests have compared. Everything else is refused. */

import { EbbError } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { partsWithin } from './places.ts';
import { ignoresCase } from './portParts.ts';

/** The options of a part, and the values of each that are allowed; null allows all. */
type Allowed = Readonly<Record<string, readonly Json[] | null>>;

const ANY = null;
const PATTERN = { pattern: ANY, invert: [false] } as const;

const NORMALIZERS: Readonly<Record<string, Allowed>> = {
  NFC: {},
  NFD: {},
  NFKC: {},
  NFKD: {},
  Lowercase: {},
  StripAccents: {},
  Prepend: { prepend: ANY },
  Replace: { pattern: ANY, content: ANY },
  Sequence: { normalizers: ANY },
  BertNormalizer: { clean_text: [true], handle_chinese_chars: ANY, strip_accents: ANY, lowercase: ANY },
};

const PRE_TOKENIZERS: Readonly<Record<string, Allowed>> = {
  ByteLevel: { add_prefix_space: [false], trim_offsets: ANY, use_regex: ANY },
  Split: { ...PATTERN, behavior: ['Isolated'] },
  Digits: { individual_digits: ANY },
  Metaspace: { replacement: ['\u2581'], prepend_scheme: ANY, add_prefix_space: ANY, split: ANY },
  BertPreTokenizer: {},
  Sequence: { pretokenizers: ANY },
};

const POST_PROCESSORS: Readonly<Record<string, Allowed>> = {
  TemplateProcessing: { single: ANY, pair: ANY, special_tokens: ANY },
  ByteLevel: { add_prefix_space: ANY, trim_offsets: ANY, use_regex: ANY },
  Sequence: { processors: ANY },
};

const MODELS: Readonly<Record<string, Allowed>> = {
  BPE: {
    vocab: ANY,
    merges: ANY,
    dropout: [null],
    unk_token: ANY,
    continuing_subword_prefix: [null, ''],
    end_of_word_suffix: [null, ''],
    fuse_unk: ANY,
    byte_fallback: ANY,
    ignore_merges: ANY,
  },
  Unigram: { vocab: ANY, unk_id: ANY, byte_fallback: [false, null] },
  WordPiece: { vocab: ANY, unk_token: ANY, continuing_subword_prefix: ANY, max_input_chars_per_word: ANY },
};

const DECODERS: Readonly<Record<string, Allowed>> = {
  ByteLevel: { add_prefix_space: ANY, trim_offsets: ANY, use_regex: ANY },
  WordPiece: { prefix: ANY, cleanup: ANY },
  Metaspace: { replacement: ['\u2581'], prepend_scheme: ANY, split: ANY },
  ByteFallback: {},
  Fuse: {},
  Strip: { content: ANY, start: ANY, stop: ANY },
  Replace: { pattern: ANY, content: ANY },
  Sequence: { decoders: ANY },
};

const INNER = ['normalizers', 'pretokenizers', 'processors', 'decoders'];

/** What of a part is not allowed, in words. */
function beyond(part: Json | undefined, what: string, allowed: Readonly<Record<string, Allowed>>): readonly string[] {
  if (part === null || part === undefined) return [];
  if (!isObject(part)) return [what];
  const kind = String(part['type']);
  const options = Object.hasOwn(allowed, kind) ? allowed[kind] : undefined;
  if (!options) return [`${what} ${kind}`];
  return Object.entries(part).flatMap(([key, value]): readonly string[] => {
    if (key === 'type') return [];
    if (INNER.includes(key) && Array.isArray(value)) return value.flatMap((inner) => beyond(inner, what, allowed));
    const values = Object.hasOwn(options, key) ? options[key] : [];
    return values === ANY || values?.some((known) => known === value) ? [] : [`${what} ${kind} with ${key} ${JSON.stringify(value)}`];
  });
}

/** What can be done instead. */
export const WAY_OUT = 'encode where the npm package tokenizers is installed, or hand ready batches over, which ebb data --out FILE.safetensors makes in Node';

/** Refuses what the port was not proven to do as the reference does. */
export function refuse(path: string, found: readonly string[]): never {
  throw new EbbError(`${path}: ${found.join(', ')}: the JavaScript port of tokenizers is not proven to do this as the reference does; ${WAY_OUT}`, 'file');
}

const patternIn = ({ pattern }: JsonObject, kind: 'Regex' | 'String'): Json | undefined => (isObject(pattern) ? pattern[kind] : undefined);

/** What is allowed alone, and not as it stands beside other parts. */
function together({ normalizer, pre_tokenizer: pre, decoder, model }: JsonObject): readonly string[] {
  const [normalizers, pretokenizers] = [partsWithin(normalizer), partsWithin(pre)];
  const cased = [...normalizers, ...pretokenizers].filter((part) => ignoresCase(String(patternIn(part, 'Regex'))));
  const splitters = pretokenizers.filter(({ type }) => type !== 'Sequence' && typeof type === 'string');
  const isCleaned = normalizers.some(({ type }) => type === 'BertNormalizer');
  return [
    ...cased.map((part) => `${String(part['type'])} by ${String(patternIn(part, 'Regex'))}, which ignores case`),
    ...(splitters.some(({ type }) => type === 'BertPreTokenizer') && !isCleaned ? ['pre-tokenizer BertPreTokenizer without a BertNormalizer'] : []),
    ...(splitters.some(({ prepend_scheme: scheme }, i) => scheme === 'first' && i > 0)
      ? ['pre-tokenizer Metaspace with prepend_scheme "first" behind another one']
      : []),
    ...(splitters.some(({ type, add_prefix_space: added, prepend_scheme: scheme }) => type === 'Metaspace' && added === false && scheme !== 'never')
      ? ['pre-tokenizer Metaspace whose add_prefix_space is not what its prepend_scheme says']
      : []),
    ...(isObject(model) && model['type'] === 'Unigram' && typeof model['unk_id'] !== 'number' ? ['model Unigram without unk_id'] : []),
    ...partsWithin(decoder)
      .filter((part) => part['type'] === 'Replace' && typeof patternIn(part, 'String') !== 'string')
      .map(() => 'decoder Replace by a regular expression'),
  ];
}

/** @throws EbbError naming what the port was not proven to do as the reference does */
export function checkAllowed(path: string, json: JsonObject): void {
  const found = [
    ...beyond(json['normalizer'], 'normalizer', NORMALIZERS),
    ...beyond(json['pre_tokenizer'], 'pre-tokenizer', PRE_TOKENIZERS),
    ...beyond(json['post_processor'], 'post-processor', POST_PROCESSORS),
    ...beyond(json['model'], 'model', MODELS),
    ...beyond(json['decoder'], 'decoder', DECODERS),
    ...together(json),
  ];
  if (found.length > 0) refuse(path, found);
}
