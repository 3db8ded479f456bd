/** @file The filter `tojson`: Python's json.dumps as transformers calls it. */

import { bind, integerArgument, textArgument } from './calls.ts';
import { raise } from './failure.ts';
import { type Arguments, iterate, truth, typeName, type Value } from './values.ts';
import { floatText, str } from './write.ts';

interface JsonStyle {
  /** What a level is indented by; null for one line. */
  readonly indent: string | null;
  readonly item: string;
  readonly colon: string;
  readonly sortKeys: boolean;
  readonly ensureAscii: boolean;
}

function quoted(text: string, { ensureAscii }: JsonStyle): string {
  // JSON.stringify would escape it; Python leaves it as it is, and no tokenizer takes it
  if (/\p{Cs}/u.test(text)) raise('UnicodeEncodeError', 'tojson: a text holds half a surrogate pair');
  const json = JSON.stringify(text);
  return ensureAscii ? json.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`) : json;
}

const numberText = (value: number): string => floatText(value).replace('nan', 'NaN').replace('inf', 'Infinity');

/** A key of an object, which is a text in JSON. */
function keyText(key: Value): string {
  if (typeof key === 'boolean' || key === null) return String(key);
  if (typeof key === 'number') return numberText(key);
  if (typeof key === 'string' || typeof key === 'bigint') return String(key);
  return raise('TypeError', `keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

function bracketed([open, close]: readonly [string, string], parts: readonly string[], { indent, item }: JsonStyle, depth: number): string {
  if (parts.length === 0) return open + close;
  if (indent === null) return `${open}${parts.join(item)}${close}`;
  const line = (level: number): string => `\n${indent.repeat(level)}`;
  return `${open}${line(depth + 1)}${parts.join(`${item}${line(depth + 1)}`)}${line(depth)}${close}`;
}

function dumps(value: Value, style: JsonStyle, depth: number): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return numberText(value);
  if (typeof value === 'string') return quoted(value, style);
  if (value.kind === 'markup') return quoted(value.text, style);
  if (value.kind === 'list' || value.kind === 'tuple')
    return bracketed(
      ['[', ']'],
      value.items.map((inner) => dumps(inner, style, depth + 1)),
      style,
      depth,
    );
  if (value.kind !== 'dict') return raise('TypeError', `Object of type ${typeName(value)} is not JSON serializable`);
  const pairs = [...value.entries.values()];
  if (style.sortKeys) {
    if (!pairs.every(([key]) => typeof key === 'string')) raise('TypeError', 'keys that are to be sorted must be str');
    pairs.sort(([a], [b]) => compareTexts(str(a), str(b)));
  }
  const parts = pairs.map(([key, inner]) => `${quoted(keyText(key), style)}${style.colon}${dumps(inner, style, depth + 1)}`);
  return bracketed(['{', '}'], parts, style, depth);
}

/** The order of texts in Python: by code points. */
export function compareTexts(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)];
  const index = left.findIndex((character, i) => character !== right[i]);
  if (index < 0) return left.length - right.length;
  return (left[index]?.codePointAt(0) ?? -1) - (right[index]?.codePointAt(0) ?? -1);
}

/** @throws TemplateError for a value that is none of JSON's */
export function tojson(value: Value, args: Arguments): string {
  const [ensureAscii = false, indent = null, separators = null, sortKeys = false] = bind('tojson', ['ensure_ascii', 'indent', 'separators', 'sort_keys'], args);
  const [item = indent === null ? ', ' : ',', colon = ': '] =
    separators === null ? [] : [...iterate(separators)].map((part) => textArgument('tojson: separators', part));
  const style: JsonStyle = {
    indent: indent === null ? null : typeof indent === 'string' ? indent : ' '.repeat(integerArgument('tojson: indent', indent)),
    item,
    colon,
    sortKeys: truth(sortKeys),
    ensureAscii: truth(ensureAscii),
  };
  return dumps(value, style, 0);
}
