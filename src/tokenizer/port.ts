/** @file The JavaScript port of tokenizers, for pages and standalone trainers, and for systems that the reference has no build for. */

import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { EbbError } from '../errors.ts';
import { isObject, type JsonObject } from '../formats/json.ts';
import { addedToken, addedTokensOf, checkNumbers, referenceIds } from './addedTokens.ts';
import { checkAllowed, refuse, WAY_OUT } from './allowList.ts';
import { vocabularyOf } from './checkJson.ts';
import type { Span, TokenizerEngine } from './engine.ts';
import { frameOf } from './framing.ts';
import { partsWithin, placer } from './places.ts';
import { type Sought, splitter } from './portAdded.ts';
import { portDecoder } from './portDecoder.ts';
import { exactNormalizer, exactPreTokenizer } from './portParts.ts';

/** The parts of the library that are used: its own types do not resolve. */
interface Library {
  readonly normalizer: { normalize(text: string): string } | null;
  readonly pre_tokenizer: { pre_tokenize(text: string, options: { readonly section_index: number }): string[] } | null;
  readonly model: LibraryModel;
}
interface LibraryModel {
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly unk_token_id?: number;
  readonly fuse_unk: boolean;
  /** The tokens of pieces. */
  encode(pieces: string[]): string[];
  /** Of a Unigram alone: those of one piece. */
  tokenize?(piece: string): string[];
}

/** The library of a tokenizer.json, without its added tokens, frame and decoder, which the port has itself. */
function construct(path: string, json: JsonObject): Library {
  const parts = { normalizer: exactNormalizer(json['normalizer']), pre_tokenizer: exactPreTokenizer(json['pre_tokenizer']) };
  try {
    return new LibraryTokenizer({ ...json, ...parts, added_tokens: [], post_processor: null, decoder: null }, { clean_up_tokenization_spaces: false });
  } catch (error) {
    throw new EbbError(`${path}: the tokenizer cannot be built: ${error instanceof Error ? error.message : String(error)}`, 'file');
  }
}

/**
 * Characters that normal forms took apart only after the Unicode of the reference (12), which leaves them as they are. JavaScript's Unicode is newer.
 * The list is what the two were found to differ in, over all characters.
 */
const NEWER =
  /[\u32ff\ua7f1-\ua7f4\uab69\u{105c9}\u{105e4}\u{10781}-\u{107ba}\u{11383}\u{11385}\u{1138e}\u{11391}\u{113c5}\u{113c7}\u{113c8}\u{11938}\u{16121}-\u{16128}\u{16d68}-\u{16d6a}\u{1ccd6}-\u{1ccf9}\u{1e030}-\u{1e06d}\u{1f16c}\u{1fbf0}-\u{1fbf9}]/u;

/** Chinese characters beyond the first 65,536 as the reference has them, with a hole at 2b820. It puts spaces around them, as around the others, and the port does not. */
const IDEOGRAPHS = /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/**
 * Characters that Bert's splitting tells apart by their kind in Unicode: marks, punctuation and format characters that the reference's Unicode may not
 * know yet. Beyond the first 65,536 these are the ones that were added since; of those within, the list is what the two were found to differ in.
 */
const NEWER_KINDS = new RegExp(
  `(?=[\\u{10000}-\\u{10ffff}\\u{2e43}-\\u{2e5d}])[\\p{M}\\p{P}]|[\\u{110cd}\\u{13430}-\\u{1343f}${[
    String.raw`\u061d\u07fd\u0890\u0891\u0897-\u089f\u08ca-\u08e2\u09fd\u09fe\u0a76\u0afa-\u0aff\u0b55\u0c04\u0c3c\u0c77\u0c84\u0d00\u0d3b\u0d3c\u0d81\u0eba`,
    String.raw`\u0ece\u166d\u1734\u180f\u1885\u1886\u1abf-\u1aeb\u1b4e\u1b4f\u1b7d-\u1b7f\u1df6-\u1dfb\ua82c\ua8c5\ua8ff\ua9bd`,
  ].join('')}]`,
  'u',
);

/** Refuses texts that the port would normalise or split otherwise than the reference. */
function checker(path: string, { normalizer }: JsonObject): (text: string) => void {
  const parts = partsWithin(normalizer);
  const forms = parts.some(({ type }) => type === 'NFD' || type === 'NFKC' || type === 'NFKD');
  const kinds = parts.some(({ type }) => type === 'BertNormalizer');
  return (text) => {
    const found = (forms ? NEWER.exec(text) : null) ?? (kinds ? NEWER_KINDS.exec(text) : null);
    if (found)
      throw new EbbError(
        `${path}: the text holds ${JSON.stringify(found[0])}, which JavaScript may take for another kind of character than tokenizers does; install the npm package tokenizers, or leave the character out`,
      );
  };
}

/** The normalizer of a tokenizer.json. */
function normaliser({ normalizer }: JsonObject, library: Library): (text: string) => string {
  const bert = partsWithin(normalizer).find(({ type }) => type === 'BertNormalizer');
  const spaced = bert !== undefined && bert['handle_chinese_chars'] !== false;
  const lower = bert !== undefined && bert['lowercase'] !== false;
  return (text) => {
    const apart = spaced ? text.replaceAll(IDEOGRAPHS, ' $& ') : text;
    // at the end of a word, JavaScript makes another letter of it
    const plain = lower ? apart.replaceAll('\u03a3', '\u03c3') : apart;
    return library.normalizer ? library.normalizer.normalize(plain) : plain;
  };
}

/** The ids of a piece of text between two splits. */
function pieceIds(model: LibraryModel, json: JsonObject): (piece: string) => readonly number[] {
  const { type, unk_token: named, byte_fallback: bytes } = isObject(json['model']) ? json['model'] : {};
  const { tokens_to_ids: ids, unk_token_id: unknown } = model;
  // characters that a BPE knows neither itself nor by an unknown token are left out before anything is merged
  const drops = type === 'BPE' && typeof named !== 'string' && bytes !== true;
  // the list of a long text's tokens is more than a call takes as arguments
  const tokens = (piece: string): readonly string[] => model.tokenize?.(piece) ?? model.encode([piece]);
  return (given) => {
    const piece = drops && !ids.has(given) ? [...given].filter((character) => ids.has(character)).join('') : given;
    const found = tokens(piece).flatMap((token) => ids.get(token) ?? unknown ?? []);
    return model.fuse_unk ? found.filter((id, i) => id !== unknown || found[i - 1] !== unknown) : found;
  };
}

/** Added tokens: those that are looked for in a text as it is given, and those in a normalised one. @throws EbbError for two that are one when normalised */
function soughtTokens(path: string, json: JsonObject, normalise: (text: string) => string): Readonly<Record<'given' | 'normalised', readonly Sought[]>> {
  const all = addedTokensOf(json).flatMap((entry): Sought[] => {
    const token = addedToken(entry, false);
    return token === null ? [] : [{ content: token.normalized ? normalise(token.content) : token.content, id: Number(entry['id']), token }];
  });
  const normalised = all.filter(({ token }) => token.normalized);
  const twice = normalised.find(({ content }, i) => content === '' || normalised.findIndex((other) => other.content === content) !== i);
  if (twice) refuse(path, [`added token ${JSON.stringify(twice.token.content)}, which is another one, or nothing, when it is normalised`]);
  return { given: all.filter(({ token }) => !token.normalized), normalised };
}

/** The ids of a text. */
function encoder(json: JsonObject, library: Library, sought: ReturnType<typeof soughtTokens>, normalise: (text: string) => string) {
  const [splitGiven, splitNormalised, idsOf] = [splitter(sought.given), splitter(sought.normalised), pieceIds(library.model, json)];
  const between = (text: string, isFirst: boolean): readonly number[] =>
    (library.pre_tokenizer ? library.pre_tokenizer.pre_tokenize(text, { section_index: isFirst ? 0 : 1 }) : [text]).flatMap(idsOf);
  return (text: string): readonly number[] =>
    splitGiven(text).flatMap((part, i) =>
      'id' in part
        ? [part.id]
        : splitNormalised(normalise(part.text)).flatMap((inner, j) => ('id' in inner ? [inner.id] : between(inner.text, i === 0 && j === 0))),
    );
}

/**
 * The port of a tokenizer.json.
 * @throws EbbError for a tokenizer that uses what the port was not proven to do as the reference does
 */
export async function portEngine(path: string, json: JsonObject): Promise<TokenizerEngine> {
  checkAllowed(path, json);
  const numbers = referenceIds(json);
  checkNumbers(path, json, (token) => numbers.get(token));
  const library = construct(path, json);
  const normalise = normaliser(json, library);
  const sought = soughtTokens(path, json, normalise);
  const idsOf = encoder(json, library, sought, normalise);
  const check = checker(path, json);
  const place = placer(json, vocabularyOf(json));
  const { prefix, suffix } = frameOf(path, json['post_processor']);
  const special = new Set(addedTokensOf(json).flatMap(({ id, special }) => (special === true ? [id] : [])));
  // an added token is decoded as it is looked for
  const tokens = new Map([...vocabularyOf(json)].map(([token, id]) => [id, token]));
  for (const { id, content } of sought.normalised) tokens.set(id, content);
  const decode = portDecoder(json['decoder']);
  return {
    async encode(texts, framed) {
      return texts.map((text) => {
        check(text);
        const bare = idsOf(text);
        return {
          ids: framed ? [...prefix, ...bare, ...suffix] : bare,
          get spans() {
            const spans = place(text, bare);
            if (!spans)
              throw new EbbError(
                `${path}: the JavaScript port of tokenizers does not tell where the tokens of ${JSON.stringify(text.slice(0, 60))} lie, so that prompts and answers cannot be told apart; ${WAY_OUT}`,
                'file',
              );
            const [from, to]: Span[] = [
              [0, 0],
              [text.length, text.length],
            ];
            return framed && from && to ? [...prefix.map(() => from), ...spans, ...suffix.map(() => to)] : spans;
          },
        };
      });
    },
    decode: async (ids, skipSpecial) => decode(ids.filter((id) => !(skipSpecial && special.has(id))).flatMap((id) => tokens.get(id) ?? [])),
  };
}
