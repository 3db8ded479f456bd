/** @file The JavaScript port of tokenizers, for pages and standalone trainers, and for systems that the reference has no build for. */

import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { EbbError } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { checkAllowed } from './allowList.ts';
import { vocabularyOf } from './checkJson.ts';
import type { TokenizerEngine } from './engine.ts';
import { partsWithin, placer } from './places.ts';

/** The library's Digits splits at decimal digits only, the reference (char::is_numeric) at every numeral: said by a regex instead. */
function exactDigits(preTokenizer: Json | undefined): Json {
  if (!isObject(preTokenizer)) return null;
  const { type, pretokenizers, individual_digits: individual } = preTokenizer;
  if (type === 'Sequence' && Array.isArray(pretokenizers)) return { ...preTokenizer, pretokenizers: pretokenizers.map(exactDigits) };
  if (type !== 'Digits') return preTokenizer;
  return { type: 'Split', pattern: { Regex: individual === true ? '\\p{N}' : '\\p{N}+' }, behavior: 'Isolated', invert: false };
}

/** The library's byte-fallback decoder drops a byte order mark that the text had; the reference keeps it. */
function keepByteOrderMarks(decoder: unknown): void {
  if (typeof decoder !== 'function' && (typeof decoder !== 'object' || decoder === null)) return;
  const inner: unknown = Reflect.get(decoder, 'decoders');
  if (Array.isArray(inner)) inner.forEach(keepByteOrderMarks);
  if (Reflect.get(decoder, 'text_decoder') instanceof TextDecoder) Reflect.set(decoder, 'text_decoder', new TextDecoder('utf-8', { ignoreBOM: true }));
}

function construct(path: string, json: JsonObject): LibraryTokenizer {
  try {
    const library = new LibraryTokenizer({ ...json, pre_tokenizer: exactDigits(json['pre_tokenizer']) }, { clean_up_tokenization_spaces: false });
    keepByteOrderMarks(library.decoder);
    return library;
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

/** Chinese characters beyond the first 65,536. The reference puts spaces around them, as around the others, and the port does not. */
const IDEOGRAPHS = /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/**
 * Characters that Bert's splitting tells apart by their kind in Unicode: marks and punctuation that the reference's Unicode may not know yet. Those
 * beyond the first 65,536 are the ones that were added since.
 */
const NEWER_KINDS = /(?=[\u{10000}-\u{10ffff}\u{2e43}-\u{2e5d}])[\p{M}\p{P}]/u;

/** Prepares texts for the port. @throws EbbError for a text that the port would normalise otherwise than the reference */
function preparer(path: string, { normalizer }: JsonObject): (text: string) => string {
  const parts = partsWithin(normalizer);
  const forms = parts.some(({ type }) => type === 'NFD' || type === 'NFKC' || type === 'NFKD');
  const kinds = parts.some(({ type }) => type === 'BertNormalizer');
  const spaced = parts.some(({ type, handle_chinese_chars: chinese }) => type === 'BertNormalizer' && chinese !== false);
  return (text) => {
    const found = (forms ? NEWER.exec(text) : null) ?? (kinds ? NEWER_KINDS.exec(text) : null);
    if (found)
      throw new EbbError(
        `${path}: the text holds ${JSON.stringify(found[0])}, which JavaScript may take for another kind of character than tokenizers does; install the npm package tokenizers, or leave the character out`,
      );
    return spaced ? text.replaceAll(IDEOGRAPHS, ' $& ') : text;
  };
}

/**
 * The port of a tokenizer.json.
 * @throws EbbError for a tokenizer that uses what the port was not proven to do as the reference does
 */
export async function portEngine(path: string, json: JsonObject): Promise<TokenizerEngine> {
  checkAllowed(path, json);
  const library = construct(path, json);
  const prepare = preparer(path, json);
  const place = placer(json, vocabularyOf(json));
  return {
    async encode(texts, special) {
      return texts.map((text) => {
        const ids = library.encode(prepare(text), { add_special_tokens: special }).ids.filter((id: number | undefined): id is number => id !== undefined);
        return {
          ids,
          get spans() {
            const spans = place(text, ids);
            if (spans) return spans;
            throw new EbbError(
              `${path}: the JavaScript port of tokenizers does not tell where the tokens of ${JSON.stringify(text.slice(0, 60))} lie, so that prompts and answers cannot be told apart; install the npm package tokenizers, or make ready batches where it is installed`,
              'file',
            );
          },
        };
      });
    },
    decode: async (ids, skipSpecial) => library.decode([...ids], { skip_special_tokens: skipSpecial, clean_up_tokenization_spaces: false }),
  };
}
