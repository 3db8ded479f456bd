/** @file Decoders of a tokenizer.json, as the reference has them: tokens to text. */

import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { bytesOfCharacters } from './places.ts';

type Decoder = (tokens: readonly string[]) => readonly string[];

/** Bytes as text. What is no UTF-8 becomes �. */
const text = new TextDecoder('utf-8', { ignoreBOM: true });
const strictText = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
const encoder = new TextEncoder();

/** Byte-level tokens: each character is a byte, unless one of the token is none. */
function byteLevel(): Decoder {
  const bytes = bytesOfCharacters();
  const bytesOf = (token: string): Iterable<number> => {
    const found = Array.from(token, (character) => bytes.get(character));
    return found.every((byte): byte is number => byte !== undefined) ? found : encoder.encode(token);
  };
  return (tokens) => [text.decode(Uint8Array.from(tokens.flatMap((token) => [...bytesOf(token)])))];
}

/** Bytes that lie one behind the other are text together; where they are none, each is a �. */
function bytesText(bytes: readonly number[]): readonly string[] {
  if (bytes.length === 0) return [];
  try {
    return [strictText.decode(Uint8Array.from(bytes))];
  } catch {
    return bytes.map(() => '\ufffd');
  }
}

function byteFallback(tokens: readonly string[]): readonly string[] {
  const out: string[] = [];
  let bytes: number[] = [];
  for (const token of tokens) {
    const [, hex] = /^<0x([0-9A-Fa-f]{2})>$/.exec(token) ?? [];
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else {
      out.push(...bytesText(bytes), token);
      bytes = [];
    }
  }
  return [...out, ...bytesText(bytes)];
}

/** What the reference tidies up of each token of a WordPiece. */
const tidied = (token: string): string =>
  [' .', ' ?', ' !', ' ,']
    .reduce((all, mark) => all.replaceAll(mark, mark.trim()), token)
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(' do not', " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");

function wordPiece({ prefix = '##', cleanup = true }: JsonObject): Decoder {
  const mark = String(prefix);
  return (tokens) =>
    tokens.map((token, i) => {
      const joined = i === 0 ? token : token.startsWith(mark) ? token.slice(mark.length) : ` ${token}`;
      return cleanup === true ? tidied(joined) : joined;
    });
}

function metaspace({ replacement = '\u2581', prepend_scheme: scheme }: JsonObject): Decoder {
  const mark = String(replacement);
  return (tokens) => tokens.map((token, i) => token.replaceAll(mark, i === 0 && scheme !== 'never' ? '' : ' '));
}

function strip({ content, start, stop }: JsonObject): Decoder {
  const mark = String(content);
  return (tokens) =>
    tokens.map((token) => {
      const characters = Array.from(token);
      let [from, to] = [0, characters.length];
      while (from < Number(start) && characters[from] === mark) from++;
      while (characters.length - to < Number(stop) && to > from && characters[to - 1] === mark) to--;
      return characters.slice(from, to).join('');
    });
}

function replace({ pattern, content }: JsonObject): Decoder {
  const plain = isObject(pattern) ? String(pattern['String']) : '';
  return (tokens) => tokens.map((token) => token.replaceAll(plain, () => String(content)));
}

const inSequence =
  (decoders: readonly Decoder[]): Decoder =>
  (tokens) =>
    decoders.reduce((all, decoder) => decoder(all), tokens);

function decoder(part: JsonObject): Decoder {
  switch (part['type']) {
    case 'ByteLevel':
      return byteLevel();
    case 'WordPiece':
      return wordPiece(part);
    case 'Metaspace':
      return metaspace(part);
    case 'ByteFallback':
      return byteFallback;
    case 'Fuse':
      return (tokens) => [tokens.join('')];
    case 'Strip':
      return strip(part);
    case 'Replace':
      return replace(part);
    case 'Sequence':
      return inSequence((Array.isArray(part['decoders']) ? part['decoders'] : []).filter(isObject).map(decoder));
    default:
      throw new Error(`internal: ${String(part['type'])} is no decoder that the port is allowed`);
  }
}

/** Makes what turns tokens into text. Without a decoder there are spaces between them. */
export function portDecoder(part: Json | undefined): (tokens: readonly string[]) => string {
  if (!isObject(part)) return (tokens) => tokens.join(' ');
  const decode = decoder(part);
  return (tokens) => decode(tokens).join('');
}
