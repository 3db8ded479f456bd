/**
 * @file Renders templates as Jinja2 does, by Hugging Face's port. Where the port differs from Jinja2, the template's tree is changed before it
 * runs: calls that it gets wrong become calls of functions below.
 */

import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import type { JsonObject } from '../formats/json.ts';
import type { Span } from './engine.ts';
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

/** Characters that Python's str.strip takes for white space are those of JavaScript's trim. */
const stripper =
  (left: boolean, right: boolean) =>
  (text: unknown, characters: unknown): string => {
    const [all, set] = [Array.from(String(text)), new Set(typeof characters === 'string' ? Array.from(characters) : [])];
    let [from, to] = [0, all.length];
    while (left && from < to && set.has(all[from] ?? '')) from++;
    while (right && to > from && set.has(all[to - 1] ?? '')) to--;
    return all.slice(from, to).join('');
  };

/** Python's str.title: a letter behind no letter is upper case, all others are lower case. */
const title = (text: unknown): string => String(text).replaceAll(/\p{L}+/gu, (word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase());

function range(first: number, end?: number, step = 1): number[] {
  const [from, to] = end === undefined ? [0, first] : [first, end];
  return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, i) => from + i * step);
}

/** Functions that take the place of what the port gets wrong, by names that no template has. */
const MENDED = { ebb__strip: stripper(true, true), ebb__lstrip: stripper(true, false), ebb__rstrip: stripper(false, true), ebb__title: title };

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
  if (inner.type === 'FilterExpression' && isNode(inner['filter']) && inner['filter']['value'] === 'title') return call('ebb__title', [inner['operand']]);
  if (inner.type === 'SelectExpression' && !looped)
    return { type: 'Ternary', condition: inner['test'], trueExpr: inner['lhs'], falseExpr: { type: 'StringLiteral', value: '' } };
  return inner;
}

const CONSTANTS = { true: true, false: false, none: null, True: true, False: false, None: null };

/** A template that can be rendered. One newline at the end of its source is not written, as in Jinja2. @throws Error for what is no template */
export function renderer(source: string): Renderer {
  const hasBlocks = GENERATION.test(source);
  GENERATION.lastIndex = 0;
  const tokens = tokenize(marked(source.replace(/\n$/, '')), { lstrip_blocks: true, trim_blocks: true });
  const program = mended(parse(tokens)) as ReturnType<typeof parse>;
  return (fields, now) => {
    const environment = new Environment();
    const functions = {
      range,
      raise_exception(message: unknown) {
        throw new Error(String(message));
      },
      strftime_now: (format: unknown) => strftime(String(format), now),
    };
    for (const [name, value] of Object.entries({ ...functions, ...MENDED, ...CONSTANTS, ...fields })) environment.set(name, value);
    const rendered = unmarked(String(Reflect.get(new Interpreter(environment).run(program), 'value')));
    return hasBlocks ? rendered : { ...rendered, blocks: null };
  };
}
