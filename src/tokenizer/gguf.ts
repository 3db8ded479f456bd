/** @file The tokenizer in a GGUF file, rebuilt as the tokenizer.json it came from: by tokenizer.ggml.model and tokenizer.ggml.pre. */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import type { Gguf, GgufValue } from '../formats/gguf.ts';
import type { JsonObject } from '../formats/json.ts';
import type { TokenizerFields } from './fields.ts';

/** llama.cpp's token types. */
const CONTROL = 3;
const USER_DEFINED = 4;

function list(gguf: Gguf, key: string, kind: 'string' | 'number'): readonly (string | number)[] {
  const value = gguf.metadata.get(key);
  if (Array.isArray(value) && value.every((x: GgufValue) => typeof x === kind)) return value as readonly (string | number)[];
  throw new EbbError(`${gguf.file}: ${key} is ${value === undefined ? 'missing' : show(value)}, expected a list of ${kind}s`);
}

const byteLevel = (useRegex: boolean): JsonObject => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: useRegex });
const split = (regex: string): JsonObject => ({ type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false });
const sequence = (...pretokenizers: JsonObject[]): JsonObject => ({ type: 'Sequence', pretokenizers });

const WORDS = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

interface PreTokenizer {
  readonly preTokenizer: JsonObject;
  readonly normalizer: JsonObject | null;
  readonly ignoreMerges: boolean;
  readonly addBos: boolean;
}

const gpt2: PreTokenizer = { preTokenizer: byteLevel(true), normalizer: null, ignoreMerges: false, addBos: false };
const digits: PreTokenizer = { ...gpt2, preTokenizer: sequence({ type: 'Digits', individual_digits: true }, byteLevel(true)) };
const llama3: PreTokenizer = { preTokenizer: sequence(split(WORDS('\\p{N}{1,3}')), byteLevel(false)), normalizer: null, ignoreMerges: true, addBos: true };
const qwen2: PreTokenizer = {
  preTokenizer: sequence(split(WORDS('\\p{N}')), byteLevel(false)),
  normalizer: { type: 'NFC' },
  ignoreMerges: false,
  addBos: false,
};

/** By tokenizer.ggml.pre, as the published tokenizer.json files of these families have it. */
const PRE_TOKENIZERS: Readonly<Record<string, PreTokenizer>> = {
  'gpt-2': gpt2,
  smollm: digits,
  starcoder: digits,
  refact: digits,
  'llama-bpe': llama3,
  'llama-v3': llama3,
  llama3,
  qwen2,
};

function addedTokens(gguf: Gguf, tokens: readonly string[]): JsonObject[] {
  const types = gguf.metadata.has('tokenizer.ggml.token_type') ? list(gguf, 'tokenizer.ggml.token_type', 'number') : [];
  return tokens.flatMap((content, id) => {
    const type = types[id];
    if (type !== CONTROL && type !== USER_DEFINED) return [];
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: type === CONTROL }];
  });
}

function tokenNamed(gguf: Gguf, tokens: readonly string[], key: string): string | null {
  const id = gguf.metadata.get(`tokenizer.ggml.${key}_token_id`);
  if (id === undefined) return null;
  const token = typeof id === 'number' ? tokens[id] : undefined;
  if (token === undefined) throw new EbbError(`${gguf.file}: tokenizer.ggml.${key}_token_id is ${show(id)}, expected one of the ${tokens.length} tokens`);
  return token;
}

/** A setting that is true or false. @throws EbbError for another value */
function flag(gguf: Gguf, key: string, otherwise: boolean): boolean {
  const value = gguf.metadata.get(`tokenizer.ggml.${key}`) ?? otherwise;
  if (typeof value === 'boolean') return value;
  throw new EbbError(`${gguf.file}: tokenizer.ggml.${key} is ${show(value)}, expected true or false`);
}

function prependBos(bos: string, id: number): JsonObject {
  const token = { SpecialToken: { id: bos, type_id: 0 } };
  const text = (name: string): JsonObject => ({ Sequence: { id: name, type_id: 0 } });
  return {
    type: 'TemplateProcessing',
    single: [token, text('A')],
    pair: [token, text('A'), token, text('B')],
    special_tokens: { [bos]: { id: bos, ids: [id], tokens: [bos] } },
  };
}

function vocabulary(gguf: Gguf): { tokens: readonly string[]; vocab: JsonObject } {
  const tokens = list(gguf, 'tokenizer.ggml.tokens', 'string').map(String);
  const vocab = Object.create(null) as JsonObject;
  tokens.forEach((token, id) => {
    if (Object.hasOwn(vocab, token))
      throw new EbbError(`${gguf.file}: tokenizer.ggml.tokens[${id}] is ${show(token)}, which is token ${show(vocab[token])} already`);
    vocab[token] = id;
  });
  return { tokens, vocab };
}

/** Byte-level BPE. */
function bpe(gguf: Gguf): TokenizerFields {
  const pre = gguf.metadata.get('tokenizer.ggml.pre');
  const kind = typeof pre === 'string' && Object.hasOwn(PRE_TOKENIZERS, pre) ? PRE_TOKENIZERS[pre] : undefined;
  if (!kind) {
    throw new EbbError(
      `${gguf.file}: tokenizer.ggml.pre is ${pre === undefined ? 'missing' : show(pre)}, expected one of ${Object.keys(PRE_TOKENIZERS).join(', ')} (others are not supported)`,
    );
  }
  const { tokens, vocab } = vocabulary(gguf);
  const merges = list(gguf, 'tokenizer.ggml.merges', 'string').map((merge) => String(merge).split(' '));
  const bos = tokenNamed(gguf, tokens, 'bos');
  const addBos = flag(gguf, 'add_bos_token', kind.addBos) && bos !== null;
  return {
    json: {
      added_tokens: addedTokens(gguf, tokens),
      normalizer: kind.normalizer,
      pre_tokenizer: kind.preTokenizer,
      post_processor: addBos ? prependBos(bos, tokens.indexOf(bos)) : null,
      decoder: byteLevel(true),
      model: { type: 'BPE', unk_token: null, byte_fallback: false, ignore_merges: kind.ignoreMerges, vocab, merges },
    },
    config: tokenizerConfig(gguf, tokens),
    templates: templatesIn(gguf),
  };
}

/** Merges of a SentencePiece BPE out of its pieces' scores, as transformers' converters recover them (SentencePieceExtractor). */
function mergesOfScores(pieces: readonly (readonly [token: string, score: number])[], vocab: JsonObject): string[][] {
  const merges: { pair: [string, string]; score: number; order: [number, number] }[] = [];
  for (const [token, score] of pieces) {
    const characters = Array.from(token);
    for (let at = 1; at < characters.length; at++) {
      const pair: [string, string] = [characters.slice(0, at).join(''), characters.slice(at).join('')];
      const [left, right] = [vocab[pair[0]], vocab[pair[1]]];
      if (left === undefined || right === undefined) continue;
      merges.push({ pair, score, order: [Number(left), Number(right)] });
    }
  }
  merges.sort((a, b) => b.score - a.score || b.order[0] - a.order[0] || b.order[1] - a.order[1]);
  return merges.map(({ pair }) => pair);
}

/** SentencePiece BPE with byte fallback, as Llama 1 and 2 have it. */
function sentencePiece(gguf: Gguf): TokenizerFields {
  const { tokens, vocab } = vocabulary(gguf);
  const scores = list(gguf, 'tokenizer.ggml.scores', 'number').map(Number);
  const pieces = tokens.map((token, id): [string, number] => {
    const score = scores[id];
    if (score === undefined || scores.length !== tokens.length)
      throw new EbbError(`${gguf.file}: tokenizer.ggml.scores holds ${scores.length} numbers, expected one for each of the ${tokens.length} tokens`);
    return [token, score];
  });
  const bos = tokenNamed(gguf, tokens, 'bos');
  const addBos = flag(gguf, 'add_bos_token', true) && bos !== null;
  const prefix = flag(gguf, 'add_space_prefix', true);
  const toSpace: JsonObject = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };
  return {
    json: {
      added_tokens: addedTokens(gguf, tokens),
      normalizer: {
        type: 'Sequence',
        normalizers: [...(prefix ? [{ type: 'Prepend', prepend: '▁' }] : []), { type: 'Replace', pattern: { String: ' ' }, content: '▁' }],
      },
      pre_tokenizer: null,
      post_processor: addBos ? prependBos(bos, tokens.indexOf(bos)) : null,
      decoder: {
        type: 'Sequence',
        decoders: [toSpace, { type: 'ByteFallback' }, { type: 'Fuse' }, ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : [])],
      },
      model: {
        type: 'BPE',
        unk_token: tokenNamed(gguf, tokens, 'unknown'),
        fuse_unk: true,
        byte_fallback: true,
        ignore_merges: false,
        vocab,
        merges: mergesOfScores(pieces, vocab),
      },
    },
    config: tokenizerConfig(gguf, tokens),
    templates: templatesIn(gguf),
  };
}

/** Chat templates: `tokenizer.chat_template`, and further ones by their names behind it. */
function templatesIn({ metadata }: Gguf): ReadonlyMap<string, string> {
  return new Map(
    [...metadata].flatMap(([key, value]): [string, string][] => {
      const [, name] = /^tokenizer\.chat_template(?:\.(.+))?$/.exec(key) ?? [null];
      return name === null || typeof value !== 'string' ? [] : [[name ?? 'default', value]];
    }),
  );
}

function tokenizerConfig(gguf: Gguf, tokens: readonly string[]): JsonObject {
  const templates = templatesIn(gguf);
  const [only] = templates.size === 1 ? templates.values() : [];
  const listed = [...templates].map(([name, template]) => ({ name, template }));
  return {
    bos_token: tokenNamed(gguf, tokens, 'bos'),
    eos_token: tokenNamed(gguf, tokens, 'eos'),
    eot_token: tokenNamed(gguf, tokens, 'eot'),
    eom_token: tokenNamed(gguf, tokens, 'eom'),
    unk_token: tokenNamed(gguf, tokens, 'unknown'),
    pad_token: tokenNamed(gguf, tokens, 'padding'),
    clean_up_tokenization_spaces: false,
    ...(listed.length > 0 ? { chat_template: templates.has('default') && only !== undefined ? only : listed } : {}),
  };
}

/** The settings that are read, whatever the kind of tokenizer; eos is put behind what is trained on whether or not add_eos_token says so. */
const READ = [
  'model',
  'tokens',
  'token_type',
  'add_bos_token',
  'add_eos_token',
  ...['bos', 'eos', 'eot', 'eom', 'unknown', 'padding'].map((name) => `${name}_token_id`),
];
/** Those that one kind of tokenizer alone has, or that only ever say what it does anyway. */
const READ_BY = { gpt2: ['pre', 'merges', 'scores'], llama: ['pre', 'scores', 'merges', 'add_space_prefix', 'escape_whitespaces'] } as const;

/** Says which settings of the tokenizer nothing reads. One that is off says nothing. @throws EbbError for settings of another type than they have */
function unusedNotes(gguf: Gguf, model: keyof typeof READ_BY): readonly string[] {
  flag(gguf, 'add_eos_token', false);
  if (model === 'llama' && !flag(gguf, 'escape_whitespaces', true))
    throw new EbbError(`${gguf.file}: tokenizer.ggml.escape_whitespaces is false, expected true: tokens that hold spaces as they are are not supported`);
  const known = new Set([...READ, ...READ_BY[model]].map((name) => `tokenizer.ggml.${name}`));
  const unused = [...gguf.metadata].filter(([key, value]) => key.startsWith('tokenizer.ggml.') && !known.has(key) && value !== false).map(([key]) => key);
  return unused.length === 0
    ? []
    : [
        `${gguf.file}: ${unused.sort().join(', ')} ${unused.length === 1 ? 'is' : 'are'} not used: the tokens of a text do not depend on ${unused.length === 1 ? 'it' : 'them'} here`,
      ];
}

/** The tokenizer of a GGUF file; unknown kinds are refused by name. */
export function ggufTokenizer(gguf: Gguf): TokenizerFields {
  const model = gguf.metadata.get('tokenizer.ggml.model');
  if (model === 'gpt2') return { ...bpe(gguf), notes: unusedNotes(gguf, model) };
  if (model === 'llama') return { ...sentencePiece(gguf), notes: unusedNotes(gguf, model) };
  throw new EbbError(
    `${gguf.file}: tokenizer.ggml.model is ${model === undefined ? 'missing' : show(model)}, expected gpt2 or llama (others are not supported)`,
  );
}
