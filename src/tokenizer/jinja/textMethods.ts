/** @file Methods of Python's texts. */

import { bind, integerArgument, needed, textArgument } from './calls.ts';
import { raise } from './failure.ts';
import { capitalized, centered, replaced, type Sides, split, splitLines, stripped, swapCase, TEXT_TESTS, titled } from './texts.ts';
import { type Arguments, iterate, list, truth, tuple, typeName, type Value } from './values.ts';

type Method = (text: string, args: Arguments) => Value;

/** Methods that a text has in Python and not here. */
export const UNKNOWN_TEXT_METHODS: readonly string[] = [
  'casefold',
  'encode',
  'expandtabs',
  'format_map',
  'isidentifier',
  'isnumeric',
  'isprintable',
  'istitle',
  'maketrans',
  'translate',
];

const strip =
  (name: string, sides: Sides): Method =>
  (text, args) => {
    const [characters = null] = bind(name, ['chars'], args);
    return stripped(text, characters === null ? null : textArgument(name, characters), sides);
  };

const splitter =
  (name: string, fromRight: boolean): Method =>
  (text, args) => {
    const [separator = null, most = -1n] = bind(name, ['sep', 'maxsplit'], args);
    if (separator === '') raise('ValueError', 'empty separator');
    return list(split(text, separator === null ? null : textArgument(name, separator), integerArgument(name, most), fromRight));
  };

const partition =
  (name: string, fromRight: boolean): Method =>
  (text, args) => {
    const separator = textArgument(name, needed(name, 'sep', bind(name, ['sep'], args)[0]));
    if (separator === '') raise('ValueError', 'empty separator');
    const at = fromRight ? text.lastIndexOf(separator) : text.indexOf(separator);
    if (at < 0) return tuple(fromRight ? ['', '', text] : [text, '', '']);
    return tuple([text.slice(0, at), separator, text.slice(at + separator.length)]);
  };

/** The part of a text between two optional places, and how many characters stand before it. */
function stretch(name: string, text: string, start: Value, end: Value): { readonly part: string; readonly before: number } {
  if (start === null && end === null) return { part: text, before: 0 };
  const characters = Array.from(text);
  const place = (value: Value, absent: number): number => {
    const index = value === null ? absent : integerArgument(name, value);
    return index < 0 ? Math.max(0, index + characters.length) : index;
  };
  const [from, to] = [place(start, 0), place(end, characters.length)];
  return { part: characters.slice(from, to).join(''), before: from };
}

const finder =
  (name: string, fromRight: boolean, isNeeded: boolean): Method =>
  (text, args) => {
    const [wanted, start = null, end = null] = bind(name, ['sub', 'start', 'end'], args);
    const part = textArgument(name, needed(name, 'sub', wanted));
    const searched = stretch(name, text, start, end);
    const at = fromRight ? searched.part.lastIndexOf(part) : searched.part.indexOf(part);
    if (at < 0) return isNeeded ? raise('ValueError', 'substring not found') : -1n;
    return BigInt(searched.before + Array.from(searched.part.slice(0, at)).length);
  };

const meets =
  (name: string, test: (text: string, part: string) => boolean): Method =>
  (text, args) => {
    const [wanted, start = null, end = null] = bind(name, ['prefix', 'start', 'end'], args);
    const parts = needed(name, 'prefix', wanted);
    const { part } = stretch(name, text, start, end);
    if (typeof parts === 'object' && parts?.kind === 'tuple') return parts.items.some((one) => test(part, textArgument(name, one)));
    return typeof parts === 'string' ? test(part, parts) : raise('TypeError', `${name} first arg must be str or a tuple of str, not ${typeName(parts)}`);
  };

const filled =
  (name: string, place: (text: string, missing: number, fill: string, width: number) => string): Method =>
  (text, args) => {
    const [width, fill = ' '] = bind(name, ['width', 'fillchar'], args);
    const wanted = integerArgument(name, needed(name, 'width', width));
    return place(text, Math.max(0, wanted - Array.from(text).length), textArgument(name, fill), wanted);
  };

/** A method without arguments. */
const plain =
  (name: string, make: (text: string) => Value): Method =>
  (text, args) => (bind(name, [], args), make(text));

const without =
  (name: string, take: (text: string, part: string) => string): Method =>
  (text, args) =>
    take(text, textArgument(name, needed(name, 'part', bind(name, ['part'], args)[0])));

export const TEXT_METHODS: Readonly<Record<string, Method>> = {
  strip: strip('strip', { left: true, right: true }),
  lstrip: strip('lstrip', { left: true, right: false }),
  rstrip: strip('rstrip', { left: false, right: true }),
  split: splitter('split', false),
  rsplit: splitter('rsplit', true),
  partition: partition('partition', false),
  rpartition: partition('rpartition', true),
  find: finder('find', false, false),
  rfind: finder('rfind', true, false),
  index: finder('index', false, true),
  rindex: finder('rindex', true, true),
  startswith: meets('startswith', (text, part) => text.startsWith(part)),
  endswith: meets('endswith', (text, part) => text.endsWith(part)),
  removeprefix: without('removeprefix', (text, part) => (text.startsWith(part) ? text.slice(part.length) : text)),
  removesuffix: without('removesuffix', (text, part) => (part !== '' && text.endsWith(part) ? text.slice(0, -part.length) : text)),
  center: filled('center', (text, _, fill, width) => centered(text, width, fill)),
  ljust: filled('ljust', (text, missing, fill) => text + fill.repeat(missing)),
  rjust: filled('rjust', (text, missing, fill) => fill.repeat(missing) + text),
  zfill: filled('zfill', (text, missing) => {
    const sign = /^[+-]/.test(text) ? text.charAt(0) : '';
    return sign + '0'.repeat(missing) + text.slice(sign.length);
  }),
  upper: plain('upper', (text) => text.toUpperCase()),
  lower: plain('lower', (text) => text.toLowerCase()),
  title: plain('title', titled),
  capitalize: plain('capitalize', capitalized),
  swapcase: plain('swapcase', swapCase),
  count(text, args) {
    const [wanted, start = null, end = null] = bind('count', ['sub', 'start', 'end'], args);
    const part = textArgument('count', needed('count', 'sub', wanted));
    const searched = stretch('count', text, start, end).part;
    return BigInt(part === '' ? Array.from(searched).length + 1 : searched.split(part).length - 1);
  },
  replace(text, args) {
    const [old, next, count = -1n] = bind('replace', ['old', 'new', 'count'], args);
    const [from, to] = [needed('replace', 'old', old), needed('replace', 'new', next)].map((part) => textArgument('replace', part));
    return replaced(text, from ?? '', to ?? '', integerArgument('replace', count));
  },
  splitlines(text, args) {
    const [keepEnds = false] = bind('splitlines', ['keepends'], args);
    return list(splitLines(text, truth(keepEnds)));
  },
  join(text, args) {
    const items = [...iterate(needed('join', 'iterable', bind('join', ['iterable'], args)[0]))];
    const texts = items.map((item, i) =>
      typeof item === 'string' ? item : raise('TypeError', `sequence item ${i}: expected str instance, ${typeName(item)} found`),
    );
    return texts.join(text);
  },
  ...Object.fromEntries(Object.entries(TEXT_TESTS).map(([name, test]) => [name, plain(name, test)])),
};
