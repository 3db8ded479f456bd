/** @file What Python does with texts: white space, cases, stripping and splitting. */

/** White space of Python's texts, as the inside of a class of a regular expression. */
export const WHITE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

const STARTS = new RegExp(`^[${WHITE}]+`);
const isWhite = (character: string): boolean => STARTS.test(character);

const lstripWhite = (text: string): string => text.replace(STARTS, '');

/** Walks back from the end: a regular expression would try every stretch of white space within. */
function rstripWhite(text: string): string {
  let end = text.length;
  while (end > 0 && isWhite(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

export interface Sides {
  readonly left: boolean;
  readonly right: boolean;
}

/** Python's strip, lstrip and rstrip. @param characters those that are taken away; null for white space */
export function stripped(text: string, characters: string | null, { left, right }: Sides): string {
  if (characters === null) {
    const rest = right ? rstripWhite(text) : text;
    return left ? lstripWhite(rest) : rest;
  }
  const [all, set] = [Array.from(text), new Set(Array.from(characters))];
  let [from, to] = [0, all.length];
  while (left && from < to && set.has(all[from] ?? '')) from++;
  while (right && to > from && set.has(all[to - 1] ?? '')) to--;
  return all.slice(from, to).join('');
}

/** Splits at white space. @param most at most so many splits; below 0 for all */
function splitWhite(text: string, most: number, fromRight: boolean): readonly string[] {
  const parts: string[] = [];
  let rest = stripped(text, null, { left: true, right: true });
  if (most < 0) return rest === '' ? [] : rest.split(new RegExp(`[${WHITE}]+`));
  const first = new RegExp(`^([^${WHITE}]+)[${WHITE}]+`);
  const last = new RegExp(`[${WHITE}]+([^${WHITE}]+)$`);
  // what is not split keeps the white space at its other side
  rest = stripped(text, null, { left: !fromRight, right: fromRight });
  while (rest !== '' && parts.length < most) {
    const found = (fromRight ? last : first).exec(rest);
    if (!found) break;
    parts.push(found[1] ?? '');
    rest = fromRight ? rest.slice(0, found.index) : rest.slice(found[0].length);
  }
  if (parts.length < most) rest = stripped(rest, null, { left: true, right: true });
  if (rest !== '') parts.push(rest);
  return fromRight ? parts.toReversed() : parts;
}

/** Python's split and rsplit. @param separator null for white space @param most at most so many splits; below 0 for all */
export function split(text: string, separator: string | null, most: number, fromRight: boolean): readonly string[] {
  if (separator === null) return splitWhite(text, most, fromRight);
  const parts = text.split(separator);
  if (most < 0 || parts.length <= most + 1) return parts;
  const middle = fromRight ? parts.length - most : most;
  const [head, tail] = fromRight ? [parts.slice(0, middle), parts.slice(middle)] : [parts.slice(0, most), parts.slice(most)];
  return fromRight ? [head.join(separator), ...tail] : [...head, tail.join(separator)];
}

const LINE_ENDS = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/g;

/** Python's splitlines. */
export function splitLines(text: string, keepEnds = false): readonly string[] {
  const lines: string[] = [];
  let from = 0;
  for (const { index, 0: end } of text.matchAll(LINE_ENDS)) {
    lines.push(text.slice(from, keepEnds ? index + end.length : index));
    from = index + end.length;
  }
  return from < text.length ? [...lines, text.slice(from)] : lines;
}

/** Letters whose title case is a letter of its own. */
const TITLES: Readonly<Record<string, string>> = Object.fromEntries(
  ['Ǆǅǆ', 'Ǉǈǉ', 'Ǌǋǌ', 'Ǳǲǳ'].flatMap((group) => Array.from(group).map((letter) => [letter, group.charAt(1)])),
);

/** A character in title case. */
function titleCharacter(character: string): string {
  const own = TITLES[character];
  if (own !== undefined) return own;
  // Georgian letters have capitals, but no title case
  if (/[\u10d0-\u10ff]/.test(character)) return character;
  const [first = '', ...rest] = Array.from(character.toUpperCase());
  return first + rest.join('').toLowerCase();
}

export function capitalized(text: string): string {
  const [first = '', ...rest] = Array.from(text);
  return titleCharacter(first) + rest.join('').toLowerCase();
}

/** Python's str.title: a letter behind no letter is in title case, all others are lower case. */
export const titled = (text: string): string => text.replaceAll(/[\p{Lu}\p{Ll}\p{Lt}\p{Lowercase}\p{Uppercase}]+/gu, capitalized);

/** Jinja2's filter `title`: words begin behind white space, hyphens and opening brackets. */
export const titledWords = (text: string): string =>
  text
    .split(new RegExp(`([-${WHITE}({\\[<]+)`))
    .filter((word) => word !== '')
    .map((word) => {
      const [first = '', ...rest] = Array.from(word);
      return first.toUpperCase() + rest.join('').toLowerCase();
    })
    .join('');

export const swapCase = (text: string): string =>
  Array.from(text, (character) => (/\p{Uppercase}/u.test(character) ? character.toLowerCase() : character.toUpperCase())).join('');

/** Python's str.replace. @param most at most so many; below 0 for all */
export function replaced(text: string, old: string, next: string, most: number): string {
  if (most < 0) return old === '' ? [...['', ...Array.from(text)].map((c) => c + next)].join('') : text.split(old).join(next);
  const parts = old === '' ? ['', ...Array.from(text), ''] : text.split(old);
  return parts.reduce((made, part, i) => made + (i <= most ? next : old) + part);
}

/** Python's str.center, whose odd space goes left where the width is odd. */
export function centered(text: string, width: number, fill: string): string {
  const missing = Math.max(0, width - Array.from(text).length);
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + text + fill.repeat(missing - left);
}

/** Whether all of a text's characters are of a kind, and there are any. */
const all =
  (kind: RegExp) =>
  (text: string): boolean =>
    text !== '' && Array.from(text).every((character) => kind.test(character));
/** Whether a text has letters of one case, and none of the other. */
const cased =
  (own: RegExp, other: RegExp) =>
  (text: string): boolean =>
    own.test(text) && !other.test(text);

/** Python's questions about texts. */
export const TEXT_TESTS: Readonly<Record<string, (text: string) => boolean>> = {
  isalpha: all(/\p{L}/u),
  isalnum: all(/[\p{L}\p{N}]/u),
  isdigit: all(/[\p{Nd}²³¹⁰⁴-⁹₀-₉]/u),
  isdecimal: all(/\p{Nd}/u),
  isspace: all(new RegExp(`[${WHITE}]`)),
  islower: cased(/\p{Lowercase}/u, /[\p{Uppercase}\p{Lt}]/u),
  isupper: cased(/\p{Uppercase}/u, /[\p{Lowercase}\p{Lt}]/u),
  isascii: (text) => /^[\0-\x7f]*$/.test(text),
};
