/** @file What the port does as the reference does, by kind, behaviour and options: what golden and random tests have compared. Everything else is refused. */

import { EbbError } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';

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
  BertNormalizer: { clean_text: ANY, handle_chinese_chars: ANY, strip_accents: ANY, lowercase: ANY },
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

const INNER = ['normalizers', 'pretokenizers', 'processors'];

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

/** @throws EbbError naming what the port was not proven to do as the reference does */
export function checkAllowed(path: string, json: JsonObject): void {
  const found = [
    ...beyond(json['normalizer'], 'normalizer', NORMALIZERS),
    ...beyond(json['pre_tokenizer'], 'pre-tokenizer', PRE_TOKENIZERS),
    ...beyond(json['post_processor'], 'post-processor', POST_PROCESSORS),
    ...beyond(json['model'], 'model', MODELS),
  ];
  if (found.length > 0)
    throw new EbbError(
      `${path}: ${found.join(', ')}: the JavaScript port of tokenizers is not proven to do this as the reference does; install the npm package tokenizers, or make ready batches where it is installed`,
      'file',
    );
}
