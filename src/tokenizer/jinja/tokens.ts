/** @file A template's source as tokens, by the rules of Jinja2's lexer with `trim_blocks` and `lstrip_blocks`. */

import { raise } from './failure.ts';
import { stripped, WHITE } from './texts.ts';

export interface Token {
  readonly type: 'data' | 'block begin' | 'block end' | 'print begin' | 'print end' | 'name' | 'operator' | 'string' | 'integer' | 'float' | 'end';
  /** The text of a name, an operator or a number; what a string or data says. */
  readonly text: string;
  readonly line: number;
}

/** A regular expression with Python's white space for `\s`. It matches where it is put; with the flag `g`, from there on. */
const pattern = (source: string, flags = 'y'): RegExp => new RegExp(source.replaceAll('\\s', `[${WHITE}]`), flags);

const TAG = pattern('\\{%([-+]?)\\s*raw\\s*(?:-%\\}\\s*|%\\})|\\{([{%#])([-+]?)', 'g');
const END_RAW = pattern('\\{%([-+]?)\\s*endraw\\s*(?:\\+%\\}|-%\\}\\s*|%\\}\\n?)', 'g');
const END_COMMENT = pattern('\\+#\\}|-#\\}\\s*|#\\}\\n?', 'g');
const END_BLOCK = pattern('\\+%\\}|-%\\}\\s*|%\\}\\n?');
const END_PRINT = pattern('-\\}\\}\\s*|\\}\\}');
const SPACE = pattern('\\s+');
const ALL_SPACE = pattern('^\\s+$', '');

/** What stands within tags, in the order in which it is tried. */
const PARTS: readonly (readonly [Token['type'], RegExp])[] = [
  ['float', pattern('(?<!\\.)(?:[0-9]+_)*[0-9]+(?:(?:\\.(?:[0-9]+_)*[0-9]+)?e[+-]?(?:[0-9]+_)*[0-9]+|\\.(?:[0-9]+_)*[0-9]+)', 'iy')],
  ['integer', pattern('0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[0-9a-f])+|[1-9](?:_?[0-9])*|0(?:_?0)*', 'iy')],
  ['name', pattern('[\\p{L}\\p{M}\\p{N}\\p{Pc}·]+', 'uy')],
  ['string', pattern('\'[^\'\\\\]*(?:\\\\.[^\'\\\\]*)*\'|"[^"\\\\]*(?:\\\\.[^"\\\\]*)*"', 'sy')],
  ['operator', pattern('\\/\\/|\\*\\*|==|!=|>=|<=|[-+/*%~\\[\\](){}<>=.:|,;]')],
];

const CLOSING: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
]);

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\n', ''],
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
]);

function syntaxError(line: number, what: string): never {
  raise('TemplateSyntaxError', `line ${line}: ${what}`);
}

/** What a literal says, by Python's escapes; one that Python does not know stays as it is. */
function unescaped(literal: string, line: number): string {
  return literal.replaceAll(/\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/gsu, (whole, ...found: (string | undefined)[]) => {
    const [octal, short, middle, long, letter = ''] = found;
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    const code = Number.parseInt(short ?? middle ?? long ?? '', 16);
    if (code <= 0x10ffff) return String.fromCodePoint(code);
    if (letter === '' || /[xuUN]|[^\0-\x7f]/u.test(letter)) return syntaxError(line, `the escape ${whole} cannot be read`);
    return ESCAPES.get(letter) ?? whole;
  });
}

/** A source that is being read. */
interface Reader {
  readonly text: string;
  readonly tokens: Token[];
  position: number;
  line: number;
  /** Whether what was read last ended a line, so that white space in front of a tag is all that its line has. */
  startsLine: boolean;
}

const add = (reader: Reader, type: Token['type'], text: string): void => void reader.tokens.push({ type, text, line: reader.line });

function advance(reader: Reader, matched: string): void {
  reader.line += matched.split('\n').length - 1;
  reader.startsLine = matched.endsWith('\n');
  reader.position += matched.length;
}

function match({ text, position }: Reader, regex: RegExp): RegExpExecArray | null {
  regex.lastIndex = position;
  return regex.exec(text);
}

/** Reads data up to a tag. @param sign what the tag says of white space before it @param isPrint whether it is `{{`, which leaves lines as they are */
function readData(reader: Reader, end: number, sign: string, isPrint: boolean): void {
  const before = reader.text.slice(reader.position, end);
  const begin = before.lastIndexOf('\n') + 1;
  const isAlone = (begin > 0 || reader.startsLine) && ALL_SPACE.test(before.slice(begin));
  const lstripped = sign === '' && !isPrint && isAlone ? before.slice(0, begin) : before;
  const kept = sign === '-' ? stripped(before, null, { left: false, right: true }) : lstripped;
  if (kept !== '') add(reader, 'data', kept);
  advance(reader, before);
}

/** Notes brackets that open and close. @throws TemplateError for one that closes what is not open */
function balance(open: string[], part: string, line: number): void {
  const closing = CLOSING.get(part);
  if (closing !== undefined) open.push(closing);
  else if ([...CLOSING.values()].includes(part)) {
    const expected = open.pop();
    if (expected !== part) syntaxError(line, `unexpected '${part}'${expected === undefined ? '' : `, expected '${expected}'`}`);
  }
}

/** Reads one part of a tag. */
function readPart(reader: Reader, open: string[]): void {
  const [type, part] = PARTS.map(([kind, regex]) => [kind, match(reader, regex)?.[0]] as const).find(([, found]) => found !== undefined) ?? [];
  const { text, position, line } = reader;
  if (type === undefined || part === undefined)
    syntaxError(line, position < text.length ? `unexpected char ${JSON.stringify(text.charAt(position))}` : 'a tag is not closed');
  if (type === 'operator') balance(open, part, line);
  if (type === 'name' && !/^[\p{ID_Start}_]\p{ID_Continue}*$/u.test(part)) syntaxError(line, `Invalid character in identifier ${part}`);
  add(reader, type, type === 'string' ? unescaped(part.slice(1, -1), line) : part);
  advance(reader, part);
}

/** Reads what stands in a tag, and its end. */
function readTag(reader: Reader, end: RegExp, endType: Token['type']): void {
  const open: string[] = [];
  for (;;) {
    const closed = open.length === 0 ? match(reader, end) : null;
    if (closed) {
      add(reader, endType, '');
      advance(reader, closed[0]);
      return;
    }
    const space = match(reader, SPACE);
    if (space) advance(reader, space[0]);
    else readPart(reader, open);
  }
}

/** @throws TemplateError for what is no template */
export function tokenize(source: string): readonly Token[] {
  // every kind of line end is one line end, and the last one is not written
  const text = source.replaceAll(/\r\n|\r/g, '\n').replace(/\n$/, '');
  const reader: Reader = { text, tokens: [], position: 0, line: 1, startsLine: true };
  for (let begin = match(reader, TAG); begin; begin = match(reader, TAG)) {
    const [whole, rawSign, kind, sign = ''] = begin;
    readData(reader, begin.index, rawSign ?? sign, kind === '{');
    advance(reader, whole);
    if (kind === undefined) {
      const end = match(reader, END_RAW) ?? syntaxError(reader.line, 'Missing end of raw directive');
      readData(reader, end.index, end[1] ?? '', false);
      advance(reader, end[0]);
    } else if (kind === '#') {
      const end = match(reader, END_COMMENT) ?? syntaxError(reader.line, 'Missing end of comment tag');
      advance(reader, text.slice(reader.position, end.index + end[0].length));
    } else {
      add(reader, kind === '{' ? 'print begin' : 'block begin', '');
      readTag(reader, kind === '{' ? END_PRINT : END_BLOCK, kind === '{' ? 'print end' : 'block end');
    }
  }
  if (reader.position < text.length) add(reader, 'data', text.slice(reader.position));
  add(reader, 'end', '');
  return reader.tokens;
}
