/** @file Jinja2's filters, but for those of sequences. */

import { attributeAlone } from './attributes.ts';
import { bind, type Filter, integerArgument, needed, textArgument } from './calls.ts';
import { raise, unsupported } from './failure.ts';
import { fixed, percentFormat } from './format.ts';
import { tojson } from './json.ts';
import { arithmetic, escaped, floatOf, order, signed } from './operators.ts';
import { SEQUENCE_FILTERS } from './sequenceFilters.ts';
import { capitalized, centered, replaced, splitLines, stripped, titledWords } from './texts.ts';
import {
  type Arguments,
  checkDefined,
  dictOf,
  isNumber,
  isUndefined,
  itemsOf,
  lengthOf,
  markup,
  numeric,
  truth,
  tuple,
  typeName,
  type Value,
} from './values.ts';
import { str } from './write.ts';

/** A value as a text. What is done to a text that counts as HTML gives another such text, which this engine does not follow. */
function softText(name: string, value: Value): string {
  if (typeof value === 'object' && value?.kind === 'markup') return unsupported(`the filter ${name} of a text that counts as HTML`);
  return str(value);
}

/** A filter of texts without arguments. */
const ofText =
  (name: string, make: (text: string) => Value): Filter =>
  (value, args) => (bind(name, [], args), make(softText(name, value)));

const FLOAT = /^[+-]?(?:(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?|inf|infinity|nan)$/i;
const INTEGERS: Readonly<Record<number, RegExp>> = {
  10: /^[+-]?\d+(?:_\d+)*$/,
  16: /^[+-]?(?:0x_?)?[\da-f]+(?:_[\da-f]+)*$/i,
  8: /^[+-]?(?:0o_?)?[0-7]+(?:_[0-7]+)*$/i,
  2: /^[+-]?(?:0b_?)?[01]+(?:_[01]+)*$/i,
};
const PREFIXES: Readonly<Record<number, string>> = { 10: '', 16: '0x', 8: '0o', 2: '0b' };
const trimmed = (text: string): string => stripped(text, null, { left: true, right: true });

/** The float that a text says, or undefined. */
function parsedFloat(given: string): number | undefined {
  const text = trimmed(given);
  if (!FLOAT.test(text)) return undefined;
  if (/nan/i.test(text)) return Number.NaN;
  if (/inf/i.test(text)) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(text.replaceAll('_', ''));
}

function parsedInteger(given: string, base: number): bigint | undefined {
  const text = trimmed(given);
  const pattern = INTEGERS[base];
  if (!pattern) return unsupported(`int with the base ${base}`);
  if (!pattern.test(text)) return undefined;
  const digits = text.replaceAll('_', '').replace(/^[+-]/, '');
  const size = BigInt(/^0[xob]/i.test(digits) && base !== 10 ? digits : `${PREFIXES[base]}${digits}`);
  return text.startsWith('-') ? -size : size;
}

const whole = (value: number): bigint | undefined => (Number.isFinite(value) ? BigInt(Math.trunc(value)) : undefined);

function toInteger(value: Value, args: Arguments): Value {
  const [fallback = 0n, base = 10n] = bind('int', ['default', 'base'], args);
  checkDefined(value);
  if (typeof value === 'string') {
    const float = parsedFloat(value);
    return parsedInteger(value, integerArgument('int', base)) ?? (float === undefined ? undefined : whole(float)) ?? fallback;
  }
  if (!isNumber(value)) return fallback;
  const number = numeric(value);
  if (typeof number === 'bigint') return number;
  return whole(number) ?? (Number.isNaN(number) ? fallback : raise('OverflowError', 'cannot convert float infinity to integer'));
}

function toFloat(value: Value, args: Arguments): Value {
  const [fallback = 0] = bind('float', ['default'], args);
  checkDefined(value);
  if (typeof value === 'string') return parsedFloat(value) ?? fallback;
  return isNumber(value) ? floatOf(value) : fallback;
}

function rounded(value: Value, args: Arguments): Value {
  const [precision = 0n, method = 'common'] = bind('round', ['precision', 'method'], args);
  checkDefined(value);
  if (!isNumber(value)) return raise('TypeError', `type ${typeName(value)} doesn't define __round__ method`);
  const digits = integerArgument('round', precision);
  const number = numeric(value);
  if (method === 'common') {
    if (typeof number === 'bigint') return digits >= 0 ? number : unsupported('rounding of integers to tens');
    return Number(fixed(number, digits));
  }
  if (method !== 'ceil' && method !== 'floor') return raise('FilterArgumentError', 'method must be common, ceil or floor');
  const scale = 10 ** digits;
  const scaled = Number(number) * scale;
  return (method === 'ceil' ? Math.ceil(scaled) : Math.floor(scaled)) / scale;
}

function indented(value: Value, args: Arguments): Value {
  const [width = 4n, first = false, blank = false] = bind('indent', ['width', 'first', 'blank'], args);
  // a text that counts as HTML stays one, which this engine does not follow; all else is refused as Python refuses it
  if (typeof value !== 'string') return typeof value === 'object' && value?.kind === 'markup' ? softText('indent', value) : arithmetic('+', value, '\n');
  const indent = typeof width === 'string' ? width : ' '.repeat(Math.max(0, integerArgument('indent', width)));
  const [head = '', ...lines] = splitLines(`${value}\n`);
  const rest = lines.map((line) => (truth(blank) || line !== '' ? indent + line : line));
  return (truth(first) ? indent : '') + [head, ...rest].join('\n');
}

function truncated(value: Value, args: Arguments): Value {
  const [wanted = 255n, killWords = false, end = '...', leeway = null] = bind('truncate', ['length', 'killwords', 'end', 'leeway'], args);
  const [most, tail, spare] = [integerArgument('truncate', wanted), textArgument('truncate', end), leeway === null ? 5 : integerArgument('truncate', leeway)];
  const kept = most - Array.from(tail).length;
  if (kept < 0 || spare < 0) return raise('AssertionError', `expected length >= ${most - kept}, got ${most}`);
  const length = lengthOf(value) ?? raise('TypeError', `object of type '${typeName(value)}' has no len()`);
  if (length <= most + spare) return value;
  const characters = Array.from(typeof value === 'string' ? value : unsupported(`truncate of ${typeName(value)}`));
  const cut = characters.slice(0, kept).join('');
  const space = cut.lastIndexOf(' ');
  return (truth(killWords) || space < 0 ? cut : cut.slice(0, space)) + tail;
}

/** A text as a part of an address. */
const urlQuoted = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]|%2F/g, (character) => (character === '%2F' ? '/' : `%${character.charCodeAt(0).toString(16).toUpperCase()}`));

/** The variants of a value to which it falls back. */
function withDefault(value: Value, args: Arguments): Value {
  const [fallback = '', boolean = false] = bind('default', ['default_value', 'boolean'], args);
  return isUndefined(value) || (truth(boolean) && !truth(value)) ? fallback : value;
}

function absolute(value: Value, args: Arguments): Value {
  bind('abs', [], args);
  if (!isNumber(value)) return raise('TypeError', `bad operand type for abs(): '${typeName(value)}'`);
  const number = numeric(value);
  return Object.is(number, -0) || order('<', number, 0n) < 0 ? signed('-', number) : number;
}

const html: Filter = (value, args) => {
  bind('escape', [], args);
  return typeof value === 'object' && value?.kind === 'markup' ? value : markup(escaped(str(value)));
};

const TEXT_FILTERS: Readonly<Record<string, Filter>> = {
  upper: ofText('upper', (text) => text.toUpperCase()),
  lower: ofText('lower', (text) => text.toLowerCase()),
  capitalize: ofText('capitalize', capitalized),
  title: ofText('title', titledWords),
  wordcount: ofText('wordcount', (text) => BigInt(text.match(/[\p{L}\p{N}\p{M}_]+/gu)?.length ?? 0)),
  string: (value, args) => (bind('string', [], args), typeof value === 'object' && value?.kind === 'markup' ? value : str(value)),
  trim(value, args) {
    const [characters = null] = bind('trim', ['chars'], args);
    return stripped(softText('trim', value), characters === null ? null : textArgument('trim', characters), { left: true, right: true });
  },
  replace(value, args) {
    const [old, next, count = null] = bind('replace', ['old', 'new', 'count'], args);
    const [from, to] = [needed('replace', 'old', old), needed('replace', 'new', next)].map(str);
    return replaced(str(value), from ?? '', to ?? '', count === null ? -1 : integerArgument('replace', count));
  },
  center(value, args) {
    const [width = 80n] = bind('center', ['width'], args);
    return centered(softText('center', value), integerArgument('center', width), ' ');
  },
  format(value, { positional, keywords }) {
    if (positional.length > 0 && keywords.size > 0) raise('FilterArgumentError', "can't handle positional and keyword arguments at the same time");
    return percentFormat(softText('format', value), keywords.size > 0 ? dictOf(keywords) : tuple(positional));
  },
  urlencode(value, args) {
    bind('urlencode', [], args);
    if (typeof value !== 'string' && itemsOf(value)) return unsupported(`urlencode of ${typeName(value)}`);
    return urlQuoted(str(value));
  },
  indent: indented,
  truncate: truncated,
  tojson,
  safe: (value, args) => (bind('safe', [], args), markup(str(value))),
  escape: html,
  e: html,
};

const VALUE_FILTERS: Readonly<Record<string, Filter>> = {
  default: withDefault,
  d: withDefault,
  int: toInteger,
  float: toFloat,
  round: rounded,
  abs: absolute,
  attr(value, args) {
    return attributeAlone(value, textArgument('attr', needed('attr', 'name', bind('attr', ['name'], args)[0])));
  },
};

export const FILTERS: ReadonlyMap<string, Filter> = new Map(Object.entries({ ...TEXT_FILTERS, ...VALUE_FILTERS, ...SEQUENCE_FILTERS }));
