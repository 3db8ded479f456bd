/**
 * @file Python's values as templates have them. An integer is a bigint and a float is a number, so that 1 and 1.0 stay apart and no digit is lost;
 * None is null; texts and truth values are JavaScript's own.
 */

import { get } from '../../errors.ts';
import { raise } from './failure.ts';

export interface List {
  readonly kind: 'list';
  readonly items: readonly Value[];
}

export interface Tuple {
  readonly kind: 'tuple';
  readonly items: readonly Value[];
}

/** Entries by what identifies their keys: 1, 1.0 and True are one key. */
export interface Dict {
  readonly kind: 'dict';
  readonly entries: ReadonlyMap<string, readonly [key: Value, value: Value]>;
}

/** What `keys`, `values` and `items` of a dict give. */
export interface View {
  readonly kind: 'view';
  readonly of: 'keys' | 'values' | 'items';
  readonly dict: Dict;
}

export interface Range {
  readonly kind: 'range';
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/** What many filters give: its items can be taken once. */
export interface Generator {
  readonly kind: 'generator';
  readonly items: Iterator<Value>;
}

/** What there is not. It is written as nothing, and most of what is done with it fails. */
export interface Undefined {
  readonly kind: 'undefined';
  /** Why there is none, in Jinja2's words. */
  readonly why: string;
  readonly error: 'UndefinedError' | 'SecurityError';
}

/** A text that counts as HTML: what is joined to it by `+` is escaped. */
export interface Markup {
  readonly kind: 'markup';
  readonly text: string;
}

export interface Namespace {
  readonly kind: 'namespace';
  readonly values: Map<string, Value>;
}

/** What a call gives: values in order, and values by name. */
export interface Arguments {
  readonly positional: readonly Value[];
  readonly keywords: ReadonlyMap<string, Value>;
}

export interface Callable {
  readonly kind: 'function';
  readonly name: string;
  readonly call: (args: Arguments) => Value;
}

/** The variable `loop` of a loop. */
export interface Loop {
  readonly kind: 'loop';
  readonly attribute: (name: string) => Value | undefined;
  readonly call: (args: Arguments) => Value;
}

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | List
  | Tuple
  | Dict
  | View
  | Range
  | Generator
  | Undefined
  | Markup
  | Namespace
  | Callable
  | Loop;

export const list = (items: readonly Value[]): List => ({ kind: 'list', items });
export const tuple = (items: readonly Value[]): Tuple => ({ kind: 'tuple', items });
export const markup = (text: string): Markup => ({ kind: 'markup', text });
export const undefinedValue = (why: string, error: Undefined['error'] = 'UndefinedError'): Undefined => ({ kind: 'undefined', why, error });
export const generator = (items: Iterable<Value>): Generator => ({ kind: 'generator', items: items[Symbol.iterator]() });
export const callable = (name: string, call: Callable['call']): Callable => ({ kind: 'function', name, call });

export const isUndefined = (value: Value): value is Undefined => typeof value === 'object' && value !== null && value.kind === 'undefined';

/** A number of Python's; True and False are 1 and 0. */
export const isNumber = (value: Value): value is bigint | number | boolean =>
  typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean';
export const isInteger = (value: Value): value is bigint | boolean => typeof value === 'bigint' || typeof value === 'boolean';
/** A number with truth values as the integers that they are. */
export const numeric = (value: bigint | number | boolean): bigint | number => (typeof value === 'boolean' ? BigInt(value) : value);

const PRIMITIVE_NAMES: ReadonlyMap<string, string> = new Map([
  ['boolean', 'bool'],
  ['bigint', 'int'],
  ['number', 'float'],
  ['string', 'str'],
]);
const KIND_NAMES: Readonly<Record<string, string>> = { undefined: 'Undefined', markup: 'Markup', namespace: 'Namespace', loop: 'LoopContext' };

/** The name of a value's type in Python. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (typeof value !== 'object') return get(PRIMITIVE_NAMES, typeof value);
  return value.kind === 'view' ? `dict_${value.of}` : (KIND_NAMES[value.kind] ?? value.kind);
}

/** @throws TemplateError where a value is undefined, as whatever is done with it does */
export function checkDefined(value: Value): void {
  if (isUndefined(value)) raise(value.error, value.why);
}

/** What identifies a key of a dict. @throws TemplateError for what cannot be one */
export function keyOf(value: Value): string {
  if (typeof value === 'string') return `s${value}`;
  if (isNumber(value)) return `n${Number.isInteger(value) ? BigInt(Number(value)) : numeric(value)}`;
  if (value === null) return 'none';
  if (value.kind === 'markup') return `s${value.text}`;
  if (value.kind === 'tuple') return `t${JSON.stringify(value.items.map(keyOf))}`;
  if (value.kind === 'undefined') return 'undefined';
  return raise('TypeError', `unhashable type: '${typeName(value)}'`);
}

/** A dict of pairs, of which a later one takes an earlier one's place. */
export function dictOf(pairs: Iterable<readonly [Value, Value]>): Dict {
  const entries = new Map<string, readonly [Value, Value]>();
  for (const [key, value] of pairs) {
    const id = keyOf(key);
    entries.set(id, [entries.get(id)?.[0] ?? key, value]);
  }
  return { kind: 'dict', entries };
}

const lengthOfRange = ({ from, to, step }: Range): number => Math.max(0, Math.ceil((to - from) / step));

export const rangeItems = (range: Range): readonly bigint[] => Array.from({ length: lengthOfRange(range) }, (_, i) => BigInt(range.from + i * range.step));

export function viewItems({ of, dict }: View): readonly Value[] {
  const pairs = [...dict.entries.values()];
  if (of === 'items') return pairs.map(tuple);
  return pairs.map(([key, value]) => (of === 'keys' ? key : value));
}

/** How many items a value has; undefined where it cannot say. */
export function lengthOf(value: Value): number | undefined {
  if (typeof value === 'string') return Array.from(value).length;
  if (typeof value !== 'object' || value === null) return undefined;
  switch (value.kind) {
    case 'list':
    case 'tuple':
      return value.items.length;
    case 'dict':
      return value.entries.size;
    case 'view':
      return value.dict.entries.size;
    case 'range':
      return lengthOfRange(value);
    case 'undefined':
      return 0;
    case 'markup':
      return Array.from(value.text).length;
    case 'loop':
      return Number(value.attribute('length'));
    default:
      return undefined;
  }
}

/** Whether Python takes a value for true. */
export function truth(value: Value): boolean {
  if (value === null) return false;
  if (typeof value !== 'object') return Boolean(value);
  return lengthOf(value) !== 0;
}

/** The items of a value, or undefined where it has none to go over. */
export function itemsOf(value: Value): Iterable<Value> | undefined {
  if (typeof value === 'string') return Array.from(value);
  if (typeof value !== 'object' || value === null) return undefined;
  switch (value.kind) {
    case 'list':
    case 'tuple':
      return value.items;
    case 'dict':
      return viewItems({ kind: 'view', of: 'keys', dict: value });
    case 'view':
      return viewItems(value);
    case 'range':
      return rangeItems(value);
    case 'undefined':
      return [];
    case 'markup':
      return Array.from(value.text);
    case 'generator':
      // whoever stops early leaves the rest to be taken, as in Python
      return { [Symbol.iterator]: () => ({ next: () => value.items.next() }) };
    default:
      return undefined;
  }
}

/** @throws TemplateError for a value without items */
export const iterate = (value: Value): Iterable<Value> => itemsOf(value) ?? raise('TypeError', `'${typeName(value)}' object is not iterable`);

const sameItems = (a: readonly Value[], b: readonly Value[]): boolean => a.length === b.length && a.every((item, i) => equals(item, b[i] ?? null));

function sameEntries(a: Dict, b: Dict): boolean {
  if (a.entries.size !== b.entries.size) return false;
  return [...a.entries].every(([id, [, value]]) => {
    const other = b.entries.get(id);
    return other !== undefined && equals(value, other[1]);
  });
}

/** Python's `==`: by value, and numbers whatever their kind. */
export function equals(a: Value, b: Value): boolean {
  // biome-ignore lint/suspicious/noDoubleEquals: the loose comparison is the exact one between a bigint and a number
  if (isNumber(a) && isNumber(b)) return numeric(a) == numeric(b);
  if (typeof a === 'object' && a?.kind === 'markup') return equals(a.text, b);
  if (typeof b === 'object' && b?.kind === 'markup') return equals(a, b.text);
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if ((a.kind === 'list' && b.kind === 'list') || (a.kind === 'tuple' && b.kind === 'tuple')) return sameItems(a.items, b.items);
  if (a.kind === 'dict' && b.kind === 'dict') return sameEntries(a, b);
  if (a.kind === 'range' && b.kind === 'range') return sameItems(rangeItems(a), rangeItems(b));
  if (a.kind === 'undefined' && b.kind === 'undefined') return true;
  if (a.kind === 'view' && b.kind === 'view' && a.of !== 'values' && b.of !== 'values') {
    const [mine, theirs] = [viewItems(a), viewItems(b)];
    return mine.length === theirs.length && mine.every((item) => theirs.some((other) => equals(item, other)));
  }
  return a === b;
}
