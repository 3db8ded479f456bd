/** @file Parses the text form back into a module; every error names line and column, what was found and what was expected. */

import { EbbError } from '../errors.ts';
import { call, fused } from './ops/control.ts';
import { findOp } from './ops/index.ts';
import { TEXT_VERSION } from './print.ts';
import {
  type Attr,
  type Body,
  DTYPES,
  type Func,
  isDType,
  type Loc,
  type Module,
  type Op,
  type Param,
  RESULT_ROLES,
  type Result,
  type ResultRole,
  ROLES,
  type Role,
  type Type,
  typeText,
  type Value,
} from './types.ts';

interface Token {
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

// Comments match here and are dropped. A name may hold dots, and a value's name indices too. Numbers may be negative or in scientific notation.
const TOKEN =
  /\s+|\/\/[^\n]*|"(?:[^"\\]|\\.)*"|loc\([^)]*\)|%[A-Za-z0-9_.]+(?:\[\d+\][A-Za-z0-9_.]*)*|@[A-Za-z0-9_.]+|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![A-Za-z_])|-?(?:Infinity|NaN)\b|[A-Za-z_][A-Za-z0-9_.]*|->|<=|\^T|[{}()[\],:=]/gy;

function tokenise(text: string, file: string): readonly Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let start = 0;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text)?.[0];
    if (match === undefined) throw new EbbError(`${file}:${line}:${at - start + 1}: unexpected character ${JSON.stringify(text[at])}`);
    if (!/^(\s|\/\/)/.test(match)) tokens.push({ text: match, line, column: at - start + 1 });
    for (let i = 0; i < match.length; i++)
      if (match[i] === '\n') {
        line++;
        start = at + i + 1;
      }
  }
  return tokens;
}

interface Cursor {
  peek(ahead?: number): string;
  next(): string;
  take(text: string): boolean;
  expect(text: string): void;
  /** @param advice what the reader can do about it */
  fail(expected: string, advice?: string): never;
}

function cursor(tokens: readonly Token[], file: string): Cursor {
  let at = 0;
  const self: Cursor = {
    peek: (ahead = 0) => tokens[at + ahead]?.text ?? '',
    next: () => tokens[at++]?.text ?? self.fail('more text'),
    take: (text) => self.peek() === text && ++at > 0,
    expect(text) {
      if (!self.take(text)) self.fail(`"${text}"`);
    },
    fail(expected, advice) {
      const token = tokens[at] ?? tokens.at(-1);
      throw new EbbError(
        `${file}:${token?.line ?? 1}:${token?.column ?? 1}: expected ${expected}, found ${at < tokens.length ? JSON.stringify(token?.text) : 'the end of the text'}${advice === undefined ? '' : `; ${advice}`}`,
      );
    },
  };
  return self;
}

function parseType(c: Cursor): Type {
  const dtype = c.peek();
  if (!isDType(dtype)) return c.fail(`a dtype (${DTYPES.join(', ')})`);
  c.next();
  c.expect('[');
  const shape: (number | string)[] = [];
  while (!c.take(']')) {
    const dim = c.next();
    shape.push(/^\d+$/.test(dim) ? Number(dim) : dim);
    if (c.peek() !== ']') c.expect(',');
  }
  return { dtype, shape };
}

function parseAttr(c: Cursor): Attr {
  if (c.take('[')) {
    const items: (number | string)[] = [];
    while (!c.take(']')) {
      items.push(parseAttr(c) as number | string);
      if (c.peek() !== ']') c.expect(',');
    }
    return items as readonly number[] | readonly string[];
  }
  const text = c.next();
  if (text.startsWith('"')) return JSON.parse(text) as string;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?(\d|Infinity|NaN)/.test(text) ? Number(text) : c.fail('a number, a string, a list, true or false');
}

function parseAttrs(c: Cursor): Record<string, Attr> {
  const attrs: [string, Attr][] = [];
  if (!c.take('{')) return {};
  while (!c.take('}')) {
    const key = c.next();
    c.expect('=');
    attrs.push([key, parseAttr(c)]);
    if (c.peek() !== '}') c.expect(',');
  }
  return Object.fromEntries(attrs);
}

function parseLoc(c: Cursor): Loc | undefined {
  const match = /^loc\((.*):(\d+):(\d+)\)$/.exec(c.peek());
  if (!match) return undefined;
  c.next();
  return { file: match[1] ?? '', line: Number(match[2]), column: Number(match[3]) };
}

type Names = Map<string, Value>;

function valueName(c: Cursor): string {
  if (!c.peek().startsWith('%')) c.fail('a value (%name)');
  return c.next().slice(1);
}
function lookup(c: Cursor, names: Names): Value {
  const text = c.peek();
  const found = names.get(text.slice(1));
  if (!text.startsWith('%') || !found) return c.fail(`one of the ${names.size} values defined so far`);
  c.next();
  return found;
}

function declare(names: Names, hints: readonly string[], types: readonly Type[], loc: Loc | undefined, c: Cursor): Value[] {
  return hints.map((name, i) => {
    const type = types[i];
    if (!type) return c.fail(`${hints.length} result types, found ${types.length}`);
    if (names.has(name)) return c.fail(`a new name instead of %${name}, which is defined already`);
    const value: Value = loc ? { name, type, loc } : { name, type };
    names.set(name, value);
    return value;
  });
}

function parseTypes(c: Cursor): Type[] {
  const types: Type[] = [];
  if (c.take(':'))
    do types.push(parseType(c));
    while (c.take(','));
  return types;
}

/** The attribute that `^T` behind an operand stands for. */
const markOf = (name: string, operand: number): string | undefined => findOp(name)?.marks?.[operand];

function parseOp(c: Cursor, names: Names): Op {
  const hints: string[] = [];
  if (c.peek().startsWith('%')) {
    do hints.push(valueName(c));
    while (c.take(','));
    c.expect('=');
  }
  if (!/^[a-z]\w*$/.test(c.peek())) c.fail('the name of an op');
  const name = c.next();
  if (name === call.name) return parseCall(c, names, hints);
  if (name === fused.name) return parseFused(c, names, hints);
  const operands: Value[] = [];
  const turned: Record<string, Attr> = {};
  while (c.peek().startsWith('%')) {
    operands.push(lookup(c, names));
    if (c.peek() === '^T') turned[markOf(name, operands.length - 1) ?? c.fail(`no mark behind an operand of ${name}`)] = c.take('^T');
    if (!c.take(',')) break;
  }
  const attrs = { ...turned, ...parseAttrs(c) };
  const types = parseTypes(c);
  const loc = parseLoc(c);
  return { name, operands, attrs, results: declare(names, hints, types, loc, c) };
}

function parseCall(c: Cursor, names: Names, hints: readonly string[]): Op {
  const callee = c.next();
  if (!callee.startsWith('@')) c.fail('@function');
  c.expect('[');
  let site = '';
  while (!c.take(']')) site += c.next();
  c.expect('(');
  const operands: Value[] = [];
  while (!c.take(')')) {
    operands.push(lookup(c, names));
    if (c.peek() !== ')') c.expect(',');
  }
  const rest = parseAttrs(c);
  const types = parseTypes(c);
  const loc = parseLoc(c);
  return { name: call.name, operands, attrs: { callee: callee.slice(1), site, ...rest }, results: declare(names, hints, types, loc, c) };
}

function parseFused(c: Cursor, names: Names, hints: readonly string[]): Op {
  const attrs = parseAttrs(c);
  c.expect('{');
  const outer = new Set(names.values());
  const inner: Names = new Map(names);
  const ops: Op[] = [];
  while (!c.take('}')) ops.push(parseOp(c, inner));
  const results = hints.map((hint) => inner.get(hint) ?? c.fail(`%${hint} to be defined inside the fused group`));
  for (const result of results) names.set(result.name, result);
  const operands = [...new Set(ops.flatMap((op) => op.operands))].filter((v) => outer.has(v));
  return { name: fused.name, operands, attrs, results, body: { params: operands, ops, results } satisfies Body };
}

function parseFunc(c: Cursor): Func {
  c.expect('func');
  const name = c.next();
  if (!name.startsWith('@')) c.fail('@name');
  const names: Names = new Map();
  const params: Param[] = [];
  c.expect('(');
  while (!c.take(')')) {
    const role = (ROLES as readonly string[]).includes(c.peek()) ? (c.next() as Role) : 'value';
    const hint = valueName(c);
    c.expect(':');
    const [value] = declare(names, [hint], [parseType(c)], undefined, c);
    if (value) params.push({ value, role });
    if (c.peek() !== ')') c.expect(',');
  }
  c.expect('->');
  c.expect('(');
  const declared: Type[] = [];
  while (!c.take(')')) {
    declared.push(parseType(c));
    if (c.peek() !== ')') c.expect(',');
  }
  c.expect('{');
  const ops: Op[] = [];
  while (c.peek() !== 'return') ops.push(parseOp(c, names));
  c.expect('return');
  const results: Result[] = [];
  while (!c.take('}')) {
    results.push(parseResult(c, names));
    if (c.peek() !== '}') c.expect(',');
  }
  const shown = (types: readonly Type[]): string => types.map(typeText).join(', ');
  const returned = results.map((r) => r.value.type);
  if (shown(returned) !== shown(declared)) c.fail(`${name} above to return (${shown(declared)}) as declared, not (${shown(returned)})`);
  return { name: name.slice(1), params, ops, results };
}

function parseResult(c: Cursor, names: Names): Result {
  if (!(RESULT_ROLES as readonly string[]).includes(c.peek())) return { value: lookup(c, names), role: 'value' };
  const role = c.next() as ResultRole;
  if (!c.take('(')) return { value: lookup(c, names), role };
  const of = Number(c.next());
  c.expect(')');
  return { value: lookup(c, names), role, of };
}

/** Parses what `printModule` prints. @throws EbbError naming file, line and column */
export function parseModule(text: string, file = 'dump.ebb'): Module {
  const c = cursor(tokenise(text, file), file);
  c.expect('ebb');
  const version = c.peek();
  if (version !== String(TEXT_VERSION)) c.fail(`version ${TEXT_VERSION} of the text form`, 'print the module again with this Ebb');
  c.next();
  const dims: [string, number][] = [];
  if (c.take('dims'))
    do {
      const name = c.next();
      c.expect('<=');
      dims.push([name, Number(c.next())]);
    } while (c.take(','));
  const funcs: Func[] = [];
  while (c.peek() !== '') funcs.push(parseFunc(c));
  return { dims: Object.fromEntries(dims), funcs };
}
