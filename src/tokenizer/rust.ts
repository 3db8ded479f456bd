/** @file The reference implementation of tokenizers, Hugging Face's own Rust library, in Node. */

import { EbbError } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { checkNumbers } from './addedTokens.ts';
import type { Encoded, Span, TokenizerEngine } from './engine.ts';

/** The parts of the library that are used. */
interface Library {
  readonly Tokenizer: { fromString(json: string): LibraryTokenizer };
}
interface LibraryEncoding {
  getIds(): number[];
  /** In code points. */
  getOffsets(): [number, number][];
}
interface LibraryTokenizer {
  tokenToId(token: string): number | null;
  disableTruncation(): void;
  disablePadding(): void;
  encodeBatch(texts: string[], options: { addSpecialTokens: boolean }): Promise<LibraryEncoding[]>;
  decode(ids: number[], skipSpecialTokens: boolean): Promise<string>;
}

/** The library's name stands in a variable, so that bundlers leave it out. */
const LIBRARY = 'tokenizers';

let loading: Promise<Library | null> | undefined;

/** The library, or null where it is not installed or has no build for this system. */
function library(): Promise<Library | null> {
  loading ??= import(LIBRARY).then(
    (module: { readonly default: Library }) => module.default,
    () => null,
  );
  return loading;
}

/** The places of tokens are those of whole texts: what trims spaces off them is switched off. */
function untrimmed(part: Json): Json {
  if (Array.isArray(part)) return part.map(untrimmed);
  if (!isObject(part)) return part;
  const inner = Object.fromEntries(Object.entries(part).map(([key, value]) => [key, untrimmed(value ?? null)]));
  return part['type'] === 'ByteLevel' || part['type'] === 'RobertaProcessing' ? { ...inner, trim_offsets: false } : inner;
}

/** Makes a function from places in code points to places in UTF-16 units. */
function unitsOf(text: string): (place: number) => number {
  if (!/[\ud800-\udfff]/.test(text)) return (place) => place;
  const units: number[] = [];
  let unit = 0;
  for (const character of text) {
    units.push(unit);
    unit += character.length;
  }
  return (place) => units[place] ?? unit;
}

/** The places of tokens cost as much to hand over as all else, so that they are asked for only where somebody reads them. */
function encoded(text: string, encoding: LibraryEncoding): Encoded {
  let spans: readonly Span[] | undefined;
  return {
    ids: encoding.getIds(),
    get spans() {
      const unit = unitsOf(text);
      spans ??= encoding.getOffsets().map(([from, to]): Span => [unit(from), unit(to)]);
      return spans;
    },
  };
}

/** Texts in a message: the beginning of the one that there is, or how many they are. */
const textsText = (texts: readonly string[]): string => (texts.length === 1 ? JSON.stringify(texts[0]?.slice(0, 60)) : `one of ${texts.length} texts`);

/**
 * The reference implementation of a tokenizer.json; null where it is not installed.
 * @throws EbbError for a tokenizer that it does not take, in its words
 */
export async function rustEngine(path: string, json: JsonObject): Promise<TokenizerEngine | null> {
  const found = await library();
  if (!found) return null;
  const { pre_tokenizer: pre, post_processor: post } = json;
  const tokenizer = ((): LibraryTokenizer => {
    try {
      return found.Tokenizer.fromString(
        JSON.stringify({ version: '1.0', ...json, pre_tokenizer: untrimmed(pre ?? null), post_processor: untrimmed(post ?? null) }),
      );
    } catch (error) {
      throw new EbbError(`${path}: the tokenizer cannot be built: ${error instanceof Error ? error.message : String(error)}`, 'file');
    }
  })();
  // Added tokens follow the vocabulary without a hole; others are numbered anew, with a warning that nobody sees.
  checkNumbers(path, json, (token) => tokenizer.tokenToId(token));
  tokenizer.disableTruncation();
  tokenizer.disablePadding();
  return {
    async encode(texts, special) {
      const encodings = await tokenizer.encodeBatch([...texts], { addSpecialTokens: special }).catch((error: unknown) => {
        throw new EbbError(`${path}: the tokenizer cannot encode ${textsText(texts)}: ${error instanceof Error ? error.message : String(error)}`, 'input');
      });
      return encodings.map((encoding, i) => encoded(texts[i] ?? '', encoding));
    },
    decode: (ids, skipSpecial) => tokenizer.decode([...ids], skipSpecial),
  };
}
