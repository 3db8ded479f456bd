/**
 * @file Renders templates as Jinja2 does, by Hugging Face's port. Where the port differs from Jinja2, the template's tree is changed before it
 * runs: calls that it gets wrong become calls of functions below.
 */

import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { at } from '../errors.ts';
import { exactKey, exactNumber } from '../formats/exactJson.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import type { Span } from './engine.ts';
import { dumps, type RuntimeValue, str } from './python.ts';
import { strftime } from './strftime.ts';

/** A text that a template wrote. */
export interface Rendered {
  readonly text: string;
  /** What stands between `{% generation %}` and `{% endgeneration %}`; null for a template without them. */
  readonly blocks: readonly Span[] | null;
}

export type Renderer = (fields: JsonObject, now: Date) => Rendered;

/** Marks where generation blocks begin and end. They are private characters, which no text of a template holds. */
const [BEGIN, END] = ['\u{f0eb0}', '\u{f0eb1}'];
const GENERATION = /\{%(-|\+)?\s*(end)?generation\s*(-|\+)?%\}/g;

/** The tags as expressions that write marks. */
const marked = (source: string): string =>
  source.replaceAll(GENERATION, (_, left: string | undefined, end: string | undefined, right: string | undefined) => {
    const mark = end === undefined ? BEGIN : END;
    return `{%${left ?? ''} if true %}${mark}{% endif ${right ?? ''}%}`;
  });

/** Takes the marks out of a text. */
function unmarked(text: string): Rendered {
  const blocks: Span[] = [];
  let plain = '';
  let begin = 0;
  for (const part of text.split(new RegExp(`([${BEGIN}${END}])`, 'u'))) {
    if (part === BEGIN) begin = plain.length;
    else if (part === END) blocks.push([begin, plain.length]);
    else plain += part;
  }
  return { text: plain, blocks };
}

/** A number of JavaScript's as the port keeps it: an integer where it is whole. */
const numberOf = ({ type, value }: RuntimeValue): number => {
  if (type !== 'IntegerValue' && type !== 'FloatValue' && type !== 'BooleanValue') throw new Error(`expected a number, found ${type}`);
  return Number(value);
};

/** Python's str.strip of given characters. */
const stripper =
  (left: boolean, right: boolean): Mend =>
  ([text, characters]) => {
    const [all, set] = [Array.from(String(text?.value)), new Set(Array.from(String(characters?.value)))];
    let [from, to] = [0, all.length];
    while (left && from < to && set.has(at(all, from))) from++;
    while (right && to > from && set.has(at(all, to - 1))) to--;
    return all.slice(from, to).join('');
  };

const titled = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase();

/** What keyword arguments of a call say. */
function keywords(args: readonly RuntimeValue[]): ReadonlyMap<string, RuntimeValue> {
  const last = args.at(-1);
  return last?.type === 'KeywordArgumentsValue' ? (last.value as Map<string, RuntimeValue>) : new Map();
}

const tojson: Mend = ([value, ...args]) => {
  const given = keywords(args);
  const indent = given.get('indent') ?? args.find(({ type }) => type === 'IntegerValue');
  const separators = given.get('separators');
  const [item, colon] = Array.isArray(separators?.value) ? (separators.value as RuntimeValue[]).map((part) => String(part.value)) : [];
  if (!value) throw new Error('tojson: there is no value');
  return dumps(value, {
    indent: indent === undefined || indent.type === 'NullValue' ? null : numberOf(indent),
    separators: item === undefined || colon === undefined ? null : [item, colon],
    sortKeys: given.get('sort_keys')?.value === true,
    ensureAscii: given.get('ensure_ascii')?.value === true,
  });
};

function lengthOf([value]: readonly RuntimeValue[]): number {
  const inner = value?.value;
  if (typeof inner === 'string') return Array.from(inner).length;
  if (Array.isArray(inner)) return inner.length;
  if (inner instanceof Map) return inner.size;
  throw new Error(`length: ${value?.type ?? 'nothing'} has none`);
}

/** Python's remainder, which has the sign of the divisor. */
function remainder([left, right]: readonly RuntimeValue[]): number {
  if (!left || !right) throw new Error('%: expected two numbers');
  const [a, b] = [numberOf(left), numberOf(right)];
  if (b === 0) throw new Error('integer modulo by zero');
  return ((a % b) + b) % b;
}

function range(first: number, end?: number, step = 1): number[] {
  const [from, to] = end === undefined ? [0, first] : [first, end];
  return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, i) => from + i * step);
}

/** A function over values as the port keeps them. */
type Mend = (args: readonly RuntimeValue[]) => string | number;

/** Functions that take the place of what the port gets wrong, by names that no template has. */
const MENDED: Readonly<Record<string, Mend>> = {
  ebb__strip: stripper(true, true),
  ebb__lstrip: stripper(true, false),
  ebb__rstrip: stripper(false, true),
  // Python's str.title: a letter behind no letter is upper case, all others are lower case
  ebb__title: ([text]) => String(text?.value).replaceAll(/\p{L}+/gu, titled),
  // Jinja's filter: words begin behind spaces, hyphens and opening brackets alone
  ebb__titled: ([text]) =>
    String(text?.value)
      .split(/([-\s({[<]+)/)
      .map(titled)
      .join(''),
  ebb__text: ([value]) => (value ? str(value) : ''),
  ebb__tojson: tojson,
  ebb__length: lengthOf,
  ebb__remainder: remainder,
};

/** A node of the port's tree. */
type Node = { readonly type: string } & Readonly<Record<string, unknown>>;
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && typeof Reflect.get(value, 'type') === 'string';

const identifier = (value: string): Node => ({ type: 'Identifier', value });
const call = (name: string, args: readonly unknown[]): Node => ({ type: 'CallExpression', callee: identifier(name), args });

/** The call that takes a method's place, or undefined for one that the port gets right. */
function mendedCall({ callee, args }: Node): Node | undefined {
  if (!isNode(callee) || callee.type !== 'MemberExpression' || callee['computed'] === true || !Array.isArray(args)) return undefined;
  const { object, property } = callee;
  const method = isNode(property) ? String(property['value']) : '';
  if (method === 'title' && args.length === 0) return call('ebb__title', [object]);
  return ['strip', 'lstrip', 'rstrip'].includes(method) && args.length === 1 ? call(`ebb__${method}`, [object, args[0]]) : undefined;
}

/** The tree with what the port gets wrong in other words. @param looped whether the node is what a loop goes over, where `x if y` filters */
function mended(node: unknown, looped = false): unknown {
  if (Array.isArray(node)) return node.map((inner) => mended(inner));
  if (node instanceof Map) return new Map([...node].map(([key, value]) => [mended(key), mended(value)]));
  if (!isNode(node)) return node;
  const inner = Object.assign(
    Object.create(Object.getPrototypeOf(node) as object) as Node,
    Object.fromEntries(Object.entries(node).map(([key, value]) => [key, mended(value, node.type === 'For' && key === 'iterable')])),
  );
  if (inner.type === 'CallExpression') return mendedCall(inner) ?? inner;
  if (inner.type === 'FilterExpression') return mendedFilter(inner);
  if (inner.type === 'BinaryExpression') return mendedOperator(inner);
  if (inner.type === 'SelectExpression' && !looped)
    return { type: 'Ternary', condition: inner['test'], trueExpr: inner['lhs'], falseExpr: { type: 'StringLiteral', value: '' } };
  return inner;
}

const FILTERS: Readonly<Record<string, string>> = {
  title: 'ebb__titled',
  string: 'ebb__text',
  length: 'ebb__length',
  count: 'ebb__length',
  tojson: 'ebb__tojson',
};

/** The call that takes a filter's place, or the filter. */
function mendedFilter(node: Node): Node {
  const { operand, filter } = node;
  if (!isNode(filter)) return node;
  const [name, args] = filter.type === 'CallExpression' ? [filter['callee'], filter['args']] : [filter, []];
  const own = isNode(name) ? FILTERS[String(name['value'])] : undefined;
  return own === undefined ? node : call(own, [operand, ...(Array.isArray(args) ? (args as unknown[]) : [])]);
}

/** `~` joins what its operands are as texts, and `%` is Python's. */
function mendedOperator(node: Node): Node {
  const { operator, left, right } = node;
  const sign = isNode(operator) ? operator['value'] : operator;
  if (sign === '~') return { ...node, left: call('ebb__text', [left]), right: call('ebb__text', [right]) };
  return sign === '%' ? call('ebb__remainder', [left, right]) : node;
}

/** Nodes that write nothing, or only what is within them. */
const STATEMENTS: ReadonlySet<string> = new Set([
  'Program',
  'If',
  'For',
  'Break',
  'Continue',
  'Set',
  'Macro',
  'CallStatement',
  'FilterStatement',
  'Comment',
  'StringLiteral',
]);

/** The tree whose expressions are written as Python writes values. */
function written(node: unknown): unknown {
  if (!isNode(node)) return node;
  const bodies = ['body', 'alternate', 'defaultBlock'].flatMap((key) =>
    Array.isArray(node[key]) ? [[key, (node[key] as unknown[]).map(writtenIn)] as const] : [],
  );
  return Object.assign(Object.create(Object.getPrototypeOf(node) as object) as Node, node, Object.fromEntries(bodies));
}
const writtenIn = (node: unknown): unknown => (isNode(node) && !STATEMENTS.has(node.type) ? call('ebb__text', [node]) : written(node));

/** A value of a record as the port keeps it: numbers and keys as they were written. */
function valuesOf(environment: Environment): (value: Json) => RuntimeValue {
  const kinds = new Map(
    Object.entries({ float: 0.5, integer: 1, list: [], object: {} }).map(([name, sample]) => [
      name,
      environment.set(`ebb__${name}`, sample).constructor as new (value: unknown) => RuntimeValue,
    ]),
  );
  const make = (kind: string, value: unknown): RuntimeValue => {
    const Kind = kinds.get(kind);
    if (!Kind) throw new Error(`internal: no kind ${kind}`);
    return new Kind(value);
  };
  let names = 0;
  const convert = (value: Json): RuntimeValue => {
    const number = exactNumber(value);
    // an integer beyond JavaScript's is only ever written, so that its text serves
    if (number !== undefined) return /[.eE]/.test(number) ? make('float', Number(number)) : make('integer', number);
    if (Array.isArray(value)) return make('list', value.map(convert));
    if (isObject(value)) return make('object', new Map(Object.entries(value).map(([key, inner]) => [exactKey(key), convert(inner ?? null)])));
    return environment.set(`ebb__${names++}`, value) as RuntimeValue;
  };
  return convert;
}

const CONSTANTS = { true: true, false: false, none: null, True: true, False: false, None: null };

/** A template that can be rendered. One newline at the end of its source is not written, as in Jinja2. @throws Error for what is no template */
export function renderer(source: string): Renderer {
  const hasBlocks = GENERATION.test(source);
  GENERATION.lastIndex = 0;
  const tokens = tokenize(marked(source.replace(/\n$/, '')), { lstrip_blocks: true, trim_blocks: true });
  const program = written(mended(parse(tokens))) as ReturnType<typeof parse>;
  return (fields, now) => {
    const environment = new Environment();
    const functions = {
      range,
      raise_exception(message: unknown) {
        throw new Error(String(message));
      },
      strftime_now: (format: unknown) => strftime(String(format), now),
    };
    for (const [name, value] of Object.entries({ ...functions, ...CONSTANTS })) environment.set(name, value);
    for (const [name, mend] of Object.entries(MENDED)) {
      const made = environment.set(name, () => '');
      Reflect.set(made, 'value', (args: readonly RuntimeValue[]) => new Environment().set('x', mend(args)));
    }
    const convert = valuesOf(environment);
    for (const [name, value] of Object.entries(fields)) environment.setVariable(exactKey(name), convert(value ?? null) as ReturnType<Environment['set']>);
    const rendered = unmarked(String(Reflect.get(new Interpreter(environment).run(program), 'value')));
    return hasBlocks ? rendered : { ...rendered, blocks: null };
  };
}
