/** @file Small tokenizers of many kinds, for comparing the port with the reference. */

import type { JsonObject } from '../../src/formats/json.ts';

const LETTERS = [...'abcdefghijklmnopqrstuvwxyzABFO0123456789.,!-$\n'];
const replaceSpaces: JsonObject = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
const prepend: JsonObject = { type: 'Prepend', prepend: '▁' };
const sequence = (...normalizers: JsonObject[]): JsonObject => ({ type: 'Sequence', normalizers });
const pieces = (...pretokenizers: JsonObject[]): JsonObject => ({ type: 'Sequence', pretokenizers });
const metaspace = (prepend_scheme: string, split?: boolean): JsonObject => ({
  type: 'Metaspace',
  replacement: '▁',
  prepend_scheme,
  ...(split === undefined ? {} : { split }),
});
const replace = (regex: string, content: string): JsonObject => ({ type: 'Replace', pattern: { Regex: regex }, content });

const added = (id: number, content: string, flags: JsonObject = {}): JsonObject => ({ id, content, special: false, normalized: false, ...flags });
const specials = [added(0, '<unk>', { special: true }), added(1, '<s>', { special: true }), added(2, '</s>', { special: true })];

const numbered = (tokens: readonly string[]): JsonObject => Object.fromEntries(tokens.map((token, id) => [token, id]));
const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
const MERGES = [
  ['▁', '▁'],
  ['▁', 'a'],
  ['a', 'b'],
  ['o', 'o'],
  ['F', 'oo'],
  ['▁a', 'b'],
  ['t', 'h'],
  ['▁', 'th'],
  ['▁▁', '▁▁'],
];
const spDecoder: JsonObject = {
  type: 'Sequence',
  decoders: [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    { type: 'Strip', content: ' ', start: 1, stop: 0 },
  ],
};

/** A SentencePiece-like BPE. */
function bpe(change: JsonObject = {}, model: JsonObject = {}): JsonObject {
  const vocab = numbered(['<unk>', '<s>', '</s>', ...bytes, '▁', ...LETTERS, ...MERGES.map((pair) => pair.join(''))]);
  return {
    added_tokens: specials,
    normalizer: sequence(prepend, replaceSpaces),
    pre_tokenizer: null,
    post_processor: null,
    decoder: spDecoder,
    model: { type: 'BPE', unk_token: '<unk>', fuse_unk: true, byte_fallback: true, vocab, merges: MERGES, ...model },
    ...change,
  };
}

/** How many tokens those have before further ones are added. */
const SIZE = 3 + 256 + 1 + LETTERS.length + MERGES.length;
const withAdded = (json: JsonObject, from: number, ...tokens: readonly (readonly [content: string, flags?: JsonObject])[]): JsonObject => ({
  ...json,
  added_tokens: [...(json['added_tokens'] as JsonObject[]), ...tokens.map(([content, flags = {}], i) => added(from + i, content, flags))],
});

const UNIGRAM = ['<unk>', '<s>', '</s>', '▁', ...LETTERS, 'ab', '▁ab', 'oo', '▁th', '▁a'];
function unigram(change: JsonObject = {}, model: JsonObject = {}): JsonObject {
  return {
    added_tokens: specials,
    normalizer: null,
    pre_tokenizer: metaspace('always', true),
    post_processor: null,
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: { type: 'Unigram', unk_id: 0, vocab: UNIGRAM.map((token, id) => [token, id < 3 ? 0 : -1 - (id % 7) / 2 - 3 / token.length]), ...model },
    ...change,
  };
}

const WORDPIECE = [
  '<unk>',
  '<s>',
  '</s>',
  ...LETTERS,
  ...LETTERS.map((letter) => `##${letter}`),
  'ab',
  '##oo',
  "'",
  '<',
  '>',
  '/',
  'é',
  '##é',
  'σ',
  '##σ',
  '##ς',
  'ς',
  'α',
];
const bert: JsonObject = { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true };
function wordPiece(change: JsonObject = {}, normalizer: JsonObject = {}): JsonObject {
  return {
    added_tokens: specials,
    normalizer: { ...bert, ...normalizer },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: null,
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: { type: 'WordPiece', unk_token: '<unk>', continuing_subword_prefix: '##', max_input_chars_per_word: 20, vocab: numbered(WORDPIECE) },
    ...change,
  };
}

/** The characters that byte-level tokens write bytes as. */
const PRINTABLE = Array.from({ length: 256 }, (_, byte) => byte).filter((b) => (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae);
const CHARACTERS = [
  ...PRINTABLE.map((b) => String.fromCodePoint(b)),
  ...Array.from({ length: 256 - PRINTABLE.length }, (_, i) => String.fromCodePoint(256 + i)),
];
const byteLevel: JsonObject = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
const regex = (source: string): JsonObject => ({ type: 'Split', pattern: { Regex: source }, behavior: 'Isolated', invert: false });
const WORDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
function byteBpe(change: JsonObject = {}, model: JsonObject = {}): JsonObject {
  const merges = [
    ['Ġ', 'Ġ'],
    ['Ġ', 'a'],
    ['o', 'o'],
    ["'", 's'],
    ['F', 'oo'],
    // the end of a long s, and what follows it, if nothing splits them
    ['¿', 'x'],
  ];
  return {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: pieces(regex(WORDS), byteLevel),
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: numbered([...CHARACTERS, ...merges.map((m) => m.join(''))]),
      merges,
      ...model,
    },
    ...change,
  };
}

const STRIPS = [
  ['<L>', { lstrip: true }],
  ['<R>', { rstrip: true, special: true }],
  ['<LR>', { lstrip: true, rstrip: true }],
] as const;
const WHOLE_WORDS = [
  ['foo', { single_word: true }],
  ['<A>', { single_word: true, special: true }],
] as const;
const NORMALISED = [
  ['FOO', { normalized: true }],
  ['ab a', { normalized: true }],
] as const;

/** What the port does as the reference. */
export const PROVEN: Readonly<Record<string, JsonObject>> = {
  'words that are added tokens, BPE': withAdded(bpe(), SIZE, ...WHOLE_WORDS),
  'words that are added tokens, byte-level': withAdded(byteBpe(), 262, ...WHOLE_WORDS),
  'words that are added tokens, Unigram': withAdded(unigram(), UNIGRAM.length, ...WHOLE_WORDS),
  'tokens that take spaces, BPE': withAdded(bpe(), SIZE, ...STRIPS),
  'tokens that take spaces, byte-level': withAdded(byteBpe(), 262, ...STRIPS),
  'tokens that take spaces, WordPiece': withAdded(wordPiece(), WORDPIECE.length, ...STRIPS),
  'tokens that are normalised, BPE': withAdded(bpe(), SIZE, ...NORMALISED),
  'tokens that are normalised, WordPiece': withAdded(wordPiece(), WORDPIECE.length, ...NORMALISED),
  'tokens that are others begun': withAdded(byteBpe(), 262, ['<a'], ['<a>b'], ['a>'], ['日本'], [' \n']),
  'BPE, Metaspace that splits': bpe({ normalizer: null, pre_tokenizer: metaspace('always', true) }),
  'BPE, Metaspace that does not say': bpe({ normalizer: null, pre_tokenizer: metaspace('first') }),
  'BPE, Metaspace that does not split': bpe({ normalizer: null, pre_tokenizer: metaspace('first', false) }),
  'BPE, Metaspace that puts none before': bpe({ normalizer: null, pre_tokenizer: metaspace('never', true) }),
  'Replace by what JavaScript would read': bpe({
    normalizer: sequence(replace('(o)', '$1-$&'), { type: 'Replace', pattern: { String: '.' }, content: "$'$$" }, replaceSpaces),
  }),
  'Replace at the beginning of lines, before Prepend': bpe({ normalizer: sequence(replace('^\\s+', ''), prepend, replaceSpaces) }),
  'Replace of spaces, before Prepend': withAdded(bpe({ normalizer: sequence(replace('\\s+', ''), prepend, replaceSpaces) }), SIZE, ['<A>']),
  'BPE that drops what it does not know': bpe({}, { byte_fallback: false, unk_token: null }),
  'BPE that drops, and takes whole words': bpe(
    { normalizer: null, pre_tokenizer: metaspace('always', true) },
    { byte_fallback: false, unk_token: null, ignore_merges: true },
  ),
  'BPE with unknown tokens, fused': bpe({ normalizer: null, pre_tokenizer: metaspace('never', true) }, { byte_fallback: false }),
  'BPE with unknown tokens, each': bpe({}, { byte_fallback: false, fuse_unk: false }),
  'unknown tokens of pieces that lie side by side': unigram({ pre_tokenizer: pieces({ type: 'Digits', individual_digits: true }, regex('é|日')) }),
  'Unigram, Digits, then Metaspace': unigram({ pre_tokenizer: pieces({ type: 'Digits', individual_digits: true }, metaspace('always', true)) }),
  'Unigram without a pre-tokenizer': unigram({ pre_tokenizer: null }),
  'Unigram, Bert': unigram({ normalizer: bert, pre_tokenizer: { type: 'BertPreTokenizer' } }),
  'Unigram, Metaspace that puts none before': unigram({
    pre_tokenizer: metaspace('never', true),
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never', split: true },
  }),
  'contractions, whatever their case': byteBpe(),
  'lower case': bpe({ normalizer: sequence({ type: 'Lowercase' }, replaceSpaces) }),
  'WordPiece, lower case': wordPiece(),
  'WordPiece, as written': wordPiece({}, { lowercase: false }),
  'byte-level, BOS and EOS': {
    ...withAdded(byteBpe(), 262, ['<s>', { special: true }], ['</s>', { special: true }]),
    post_processor: {
      type: 'Sequence',
      processors: [
        byteLevel,
        {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '</s>', type_id: 0 } }],
          pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
          special_tokens: { '<s>': { id: '<s>', ids: [262], tokens: ['<s>'] }, '</s>': { id: '</s>', ids: [263], tokens: ['</s>'] } },
        },
      ],
    },
  },
};

/** What it does otherwise, and refuses by name. */
export const REFUSED: Readonly<Record<string, JsonObject>> = {
  'prepend_scheme "first" behind another one': unigram({ pre_tokenizer: pieces({ type: 'Digits', individual_digits: true }, metaspace('first', true)) }),
  'BertPreTokenizer without a BertNormalizer': unigram({ pre_tokenizer: { type: 'BertPreTokenizer' } }),
  'BertNormalizer with clean_text false': wordPiece({}, { clean_text: false }),
  'which ignores case': byteBpe({ pre_tokenizer: pieces(regex('(?i:the|ß)'), byteLevel) }),
  'Unigram without unk_id': unigram({}, { unk_id: null }),
  'behavior "Removed"': byteBpe({ pre_tokenizer: pieces({ ...regex('\\s'), behavior: 'Removed' }, byteLevel) }),
  'decoder BPEDecoder': bpe({ decoder: { type: 'BPEDecoder', suffix: '</w>' } }),
  'when it is normalised': withAdded(wordPiece(), WORDPIECE.length, ['FOO', { normalized: true }], ['foo', { normalized: true }]),
  'as ids have no holes there': withAdded(bpe(), SIZE + 1, ['<A>']),
  'as the vocabulary of its model says': withAdded(bpe(), SIZE, ['ab']),
};
