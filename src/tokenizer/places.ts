/**
 * @file Where tokens lie in a text, for the port, which does not tell: tokens are laid along the text, byte by byte. It works for byte-level tokens
 * and for pieces that write spaces as ▁, on texts that the normalizer leaves as they are; elsewhere it says that it does not know.
 */

import { at as elementAt } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import type { Span } from './engine.ts';

/** The characters that byte-level tokens write bytes as (GPT-2's bytes_to_unicode): printable ones stand for themselves, others are moved up. */
export function bytesOfCharacters(): ReadonlyMap<string, number> {
  const printable = (byte: number): boolean => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let moved = 0;
  return new Map(Array.from({ length: 256 }, (_, byte): [string, number] => [String.fromCodePoint(printable(byte) ? byte : 256 + moved++), byte]));
}

/** All parts of a tokenizer that lie within one, itself included. */
export const partsWithin = (part: Json | undefined): readonly JsonObject[] =>
  Array.isArray(part) ? part.flatMap(partsWithin) : isObject(part) ? [part, ...Object.values(part).flatMap(partsWithin)] : [];

/** Where a space is put before a text: before every stretch between added tokens, before those that begin with none, before the first if it does, or nowhere. */
type Prefix = 'always' | 'unless spaced' | 'first unless spaced' | 'never';

function prefixOf({ normalizer, pre_tokenizer: pre }: JsonObject): Prefix {
  if (partsWithin(normalizer).some(({ type }) => type === 'Prepend')) return 'always';
  const metaspace = partsWithin(pre).find(({ type }) => type === 'Metaspace');
  const scheme = metaspace?.['prepend_scheme'] ?? (metaspace?.['add_prefix_space'] === false ? 'never' : 'always');
  if (!metaspace || scheme === 'never') return 'never';
  return scheme === 'first' ? 'first unless spaced' : 'unless spaced';
}

/** Whether a normalizer leaves a text as it is, apart from how it writes spaces. */
function keeps(part: JsonObject, text: string): boolean {
  const { type, pattern, content } = part;
  switch (type) {
    case 'Sequence':
    case 'Prepend':
      return true;
    case 'Lowercase':
      return text.toLowerCase() === text;
    case 'Replace': {
      const { Regex: regex, String: plain } = isObject(pattern) ? pattern : {};
      if (plain === ' ' && content === '\u2581') return !text.includes('\u2581');
      return typeof regex === 'string'
        ? text.replaceAll(new RegExp(regex, 'gu'), String(content)) === text
        : typeof plain === 'string' && !text.includes(plain);
    }
    default:
      return false;
  }
}

const encoder = new TextEncoder();
const byteLength = (text: string): number => encoder.encode(text).length;

/** A text as bytes, and where in the text each byte's character is. */
interface Laid {
  readonly text: string;
  readonly bytes: number;
  /** The UTF-16 unit of each byte's character, and the end of the text behind them. */
  readonly units: Int32Array;
}

function laid(text: string): Laid {
  const units = new Int32Array(byteLength(text) + 1);
  let [unit, byte] = [0, 0];
  for (const character of text) {
    units.fill(unit, byte, (byte += byteLength(character)));
    unit += character.length;
  }
  units[byte] = unit;
  return { text, bytes: byte, units };
}

const unitAt = ({ units, text }: Laid, byte: number): number => units[byte] ?? text.length;

/** The part of a text that bytes [from, to) are of: whole characters. */
function spanOf(on: Laid, from: number, to: number): Span {
  if (to <= from) return [unitAt(on, from), unitAt(on, from)];
  const last = unitAt(on, to - 1);
  return [unitAt(on, from), last + String.fromCodePoint(on.text.codePointAt(last) ?? 0).length];
}

/** The bytes of white space at a byte of a text. */
const spacesAt = (on: Laid, byte: number): number => byteLength(/^\s*/.exec(on.text.slice(unitAt(on, byte)))?.[0] ?? '');

/** A text as a Unicode normal form writes it, and the part of the text that a part of that is. */
interface Normalized {
  readonly text: string;
  readonly back: (span: Span) => Span;
}

const FORMS = ['NFC', 'NFD', 'NFKC', 'NFKD'];

/** Normalises a text character by character, each with the marks on it. Null where characters change one another. */
function normalized(text: string, form: string | undefined): Normalized | null {
  const whole = form === undefined ? text : text.normalize(form);
  if (whole === text) return { text, back: (span) => span };
  /** The unit of the text that each unit of the normal form begins at and ends at. */
  const [begins, ends]: [number[], number[]] = [[], []];
  let joined = '';
  let from = 0;
  const add = (written: string, length: number, own: number): void => {
    for (const _ of written.split('')) {
      begins.push(from);
      ends.push(from + own);
    }
    joined += written;
    from += length;
  };
  for (const [character] of text.matchAll(/\P{M}\p{M}*|\p{M}+/gsu)) {
    const written = character.normalize(form);
    // what stays lies where it lay; marks that were put into a character do not lie anywhere, as in the reference
    if (written === character) for (const one of character) add(one, one.length, one.length);
    else add(written, character.length, Array.from(written).length === 1 ? (Array.from(character)[0] ?? '').length : character.length);
  }
  const begin = (unit: number): number => (unit < begins.length ? elementAt(begins, unit) : text.length);
  return joined === whole ? { text: whole, back: ([a, b]) => (a === b ? [begin(a), begin(a)] : [begin(a), elementAt(ends, b - 1)]) } : null;
}

/** Returns where the tokens of a text lie, or null where it cannot tell. */
export type Placer = (text: string, ids: readonly number[]) => readonly Span[] | null;

/** Makes a placer for a tokenizer.json. */
export function placer(json: JsonObject, vocabulary: ReadonlyMap<string, number>): Placer {
  const tokens = new Map([...vocabulary].map(([token, id]) => [id, token]));
  const added = new Map(partsWithin(json['added_tokens']).map((token) => [Number(token['id']), token]));
  const byteLevel = [...partsWithin(json['pre_tokenizer']), ...partsWithin(json['decoder'])].some(({ type }) => type === 'ByteLevel');
  const { model } = json;
  const unknown = isObject(model) ? (typeof model['unk_token'] === 'string' ? vocabulary.get(model['unk_token']) : model['unk_id']) : undefined;
  const parts = partsWithin(json['normalizer']).filter(({ type }) => typeof type === 'string');
  const form = parts.map(({ type }) => String(type)).find((type) => FORMS.includes(type));
  const normalizers = parts.filter(({ type }) => type !== form);
  const characters = bytesOfCharacters();
  const prefix = prefixOf(json);
  /** Whether the space that the first token of a stretch begins with was put there. */
  const isPut = (isFirst: boolean, spaced: boolean): boolean =>
    prefix === 'always' || (!spaced && (prefix === 'unless spaced' || (prefix === 'first unless spaced' && isFirst)));

  /** The bytes of a token that is no added one, or null for one that does not lie at that byte. */
  const ordinary = (on: Laid, at: number, token: string): number | null => {
    if (byteLevel) return Array.from(token).every((c) => characters.has(c)) ? Array.from(token).length : null;
    if (/^<0x[0-9A-F]{2}>$/.test(token)) return 1;
    const written = token.replaceAll('\u2581', ' ');
    return on.text.startsWith(written, unitAt(on, at)) ? byteLength(written) : null;
  };

  return (given, ids) => {
    const written = normalized(given, form);
    if (!written || !normalizers.every((part) => keeps(part, written.text))) return null;
    const { text, back } = written;
    const on = laid(text);
    const spans: Span[] = [];
    let at = 0;
    let begins = true;
    for (const [i, id] of ids.entries()) {
      const next = ids[i + 1];
      const token = tokens.get(id) ?? '';
      const own = added.get(id);
      const from = at;
      if (own && on.text.startsWith(token, unitAt(on, at + (own['lstrip'] === true ? spacesAt(on, at) : 0)))) {
        if (own['lstrip'] === true) at += spacesAt(on, at);
        at += byteLength(token);
        if (own['rstrip'] === true) at += spacesAt(on, at);
        begins = true;
        spans.push(spanOf(on, from, at));
        continue;
      }
      // A space that is put before a text lies with the character behind it.
      const put = begins && token.startsWith('\u2581') && !byteLevel && isPut(from === 0, text.charAt(unitAt(on, at)) === ' ');
      begins = false;
      const rest = put ? token.slice(1) : token;
      if (id === unknown) {
        const after = next === undefined ? undefined : tokens.get(next)?.replaceAll('\u2581', ' ');
        const end = after === undefined ? text.length : text.indexOf(after, unitAt(on, at) + 1);
        if (end < 0) return null;
        at += byteLength(text.slice(unitAt(on, at), end));
      } else {
        const bytes = ordinary(on, at, rest);
        if (bytes === null || at + bytes > on.bytes) return null;
        at += bytes;
      }
      spans.push(put && rest === '' ? spanOf(on, from, Math.min(on.bytes, from + 1)) : spanOf(on, from, at));
    }
    return at === on.bytes ? spans.map(back) : null;
  };
}
