/** @file The JavaScript port of tokenizers, for pages and standalone trainers, and for systems that the reference has no build for. */

import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { EbbError } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { checkAllowed } from './allowList.ts';
import { vocabularyOf } from './checkJson.ts';
import type { TokenizerEngine } from './engine.ts';
import { placer } from './places.ts';

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
 * The port of a tokenizer.json.
 * @throws EbbError for a tokenizer that uses what the port was not proven to do as the reference does
 */
export async function portEngine(path: string, json: JsonObject): Promise<TokenizerEngine> {
  checkAllowed(path, json);
  const library = construct(path, json);
  const place = placer(json, vocabularyOf(json));
  return {
    async encode(texts, special) {
      return texts.map((text) => {
        const ids = library.encode(text, { add_special_tokens: special }).ids.filter((id: number | undefined): id is number => id !== undefined);
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
