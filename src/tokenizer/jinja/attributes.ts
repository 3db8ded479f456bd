/** @file What stands behind a dot or in brackets: attributes and methods of Python's types, and items. Nothing that changes a value is here: Jinja2's sandbox has none. */

import { bind, needed } from './calls.ts';
import { raise, unsupported } from './failure.ts';
import { braceFormat } from './format.ts';
import { TEXT_METHODS, UNKNOWN_TEXT_METHODS } from './textMethods.ts';
import {
  type Arguments,
  callable,
  checkDefined,
  type Dict,
  equals,
  isInteger,
  isNumber,
  keyOf,
  list,
  numeric,
  rangeItems,
  typeName,
  type Undefined,
  undefinedValue,
  type Value,
} from './values.ts';
import { repr } from './write.ts';

type Method<T> = (self: T, args: Arguments) => Value;

const DICT_METHODS: Readonly<Record<string, Method<Dict>>> = {
  get(self, args) {
    const [key, fallback = null] = bind('get', ['key', 'default'], args);
    const entry = self.entries.get(keyOf(needed('get', 'key', key)));
    return entry === undefined ? fallback : entry[1];
  },
  keys: (self, args) => (bind('keys', [], args), { kind: 'view', of: 'keys', dict: self }),
  values: (self, args) => (bind('values', [], args), { kind: 'view', of: 'values', dict: self }),
  items: (self, args) => (bind('items', [], args), { kind: 'view', of: 'items', dict: self }),
  copy: (self, args) => (bind('copy', [], args), self),
};

type Items = readonly Value[];

const SEQUENCE_METHODS: Readonly<Record<string, Method<Items>>> = {
  count(items, args) {
    const wanted = needed('count', 'value', bind('count', ['value'], args)[0]);
    return BigInt(items.filter((item) => equals(item, wanted)).length);
  },
  index(items, args) {
    const wanted = needed('index', 'value', bind('index', ['value'], args)[0]);
    const index = items.findIndex((item) => equals(item, wanted));
    return index < 0 ? raise('ValueError', `${repr(wanted)} is not in list`) : BigInt(index);
  },
};
const LIST_METHODS: Readonly<Record<string, Method<Items>>> = { ...SEQUENCE_METHODS, copy: (items, args) => (bind('copy', [], args), list(items)) };

/** Methods that change a value, which Jinja2's sandbox calls unsafe. */
const UNSAFE: Readonly<Record<string, readonly string[]>> = {
  list: ['append', 'clear', 'extend', 'insert', 'pop', 'remove', 'reverse', 'sort'],
  dict: ['clear', 'pop', 'popitem', 'setdefault', 'update'],
};

/** Attributes of Python's types that this engine does not have, so that they are refused rather than taken for absent. */
const UNKNOWN: Readonly<Record<string, readonly string[]>> = {
  str: UNKNOWN_TEXT_METHODS,
  dict: ['fromkeys'],
  int: ['as_integer_ratio', 'bit_count', 'bit_length', 'conjugate', 'denominator', 'from_bytes', 'numerator', 'to_bytes'],
  bool: ['as_integer_ratio', 'bit_count', 'bit_length', 'conjugate', 'denominator', 'from_bytes', 'numerator', 'to_bytes'],
  float: ['as_integer_ratio', 'conjugate', 'fromhex', 'hex'],
  dict_keys: ['isdisjoint', 'mapping'],
  dict_values: ['mapping'],
  dict_items: ['isdisjoint', 'mapping'],
  generator: ['close', 'send', 'throw', 'gi_code', 'gi_frame', 'gi_running', 'gi_suspended', 'gi_yieldfrom'],
  function: ['arguments', 'caller', 'catch_kwargs', 'catch_varargs', 'explicit_caller', 'name'],
};

/** A method of a table that belongs to a value. */
function methodOf<T>(table: Readonly<Record<string, Method<T>>>, self: T, name: string): Value | undefined {
  const method = Object.hasOwn(table, name) ? table[name] : undefined;
  return method && callable(name, (args) => method(self, args));
}

/** What Python's getattr finds of a value, or undefined. */
function ownAttribute(value: Value, name: string): Value | undefined {
  if (typeof value === 'string') return methodOf(TEXT_METHODS, value, name) ?? textFormat(value, name);
  if (isNumber(value)) return numberAttribute(numeric(value), name);
  if (value === null) return undefined;
  switch (value.kind) {
    case 'dict':
      return methodOf(DICT_METHODS, value, name);
    case 'list':
      return methodOf(LIST_METHODS, value.items, name);
    case 'tuple':
      return methodOf(SEQUENCE_METHODS, value.items, name);
    case 'range':
      return methodOf(SEQUENCE_METHODS, rangeItems(value), name) ?? rangeAttribute(value, name);
    case 'namespace':
      return value.values.get(name);
    case 'loop':
      return value.attribute(name);
    case 'markup':
      return unsupported(`.${name} of a text that counts as HTML`);
    default:
      return undefined;
  }
}

function rangeAttribute({ from, to, step }: { readonly from: number; readonly to: number; readonly step: number }, name: string): Value | undefined {
  const found: Readonly<Record<string, number>> = { start: from, stop: to, step };
  const number = Object.hasOwn(found, name) ? found[name] : undefined;
  return number === undefined ? undefined : BigInt(number);
}

function numberAttribute(number: bigint | number, name: string): Value | undefined {
  if (name === 'real') return number;
  if (name === 'imag') return typeof number === 'bigint' ? 0n : 0;
  if (name === 'is_integer' && typeof number === 'number') return callable(name, (args) => (bind(name, [], args), Number.isInteger(number)));
  return undefined;
}

/** `format` of a text, which reads attributes and items of what it is given. */
function textFormat(text: string, name: string): Value | undefined {
  if (name !== 'format') return undefined;
  return callable(name, ({ positional, keywords }) =>
    braceFormat(text, {
      positional,
      named: (key) => keywords.get(key),
      part: (value, key, isAttribute) => (isAttribute ? attribute(value, key) : item(value, /^\d+$/.test(key) ? BigInt(key) : key)),
    }),
  );
}

/** What an attribute is, of those that Python's types have; undefined where there is none. */
function found(value: Value, name: string): Value | undefined {
  const type = typeName(value);
  const unsafe = (): Undefined => undefinedValue(`access to attribute '${name}' of '${type}' object is unsafe.`, 'SecurityError');
  if (/^__\w+__$/.test(name)) return unsafe();
  if (Object.hasOwn(UNSAFE, type) && UNSAFE[type]?.includes(name)) return unsafe();
  const own = ownAttribute(value, name);
  if (own === undefined && Object.hasOwn(UNKNOWN, type) && UNKNOWN[type]?.includes(name)) return unsupported(`.${name} of ${type}`);
  return own;
}

/** What brackets find, or undefined. */
function ownItem(value: Value, key: Value): Value | undefined {
  if (typeof value === 'object' && value?.kind === 'dict') {
    const isKey = typeof key !== 'object' || key === null || key.kind === 'tuple' || key.kind === 'markup' || key.kind === 'undefined';
    return isKey ? value.entries.get(keyOf(key))?.[1] : undefined;
  }
  if (!isInteger(key)) return undefined;
  const items = typeof value === 'string' ? Array.from(value) : sequenceItems(value);
  return items?.at(Number(key)) ?? (items && Number(key) >= -items.length && Number(key) < items.length ? null : undefined);
}

function sequenceItems(value: Value): readonly Value[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (value.kind === 'list' || value.kind === 'tuple') return value.items;
  if (value.kind === 'markup') return unsupported('an item of a text that counts as HTML');
  return value.kind === 'range' ? rangeItems(value) : undefined;
}

function missing(value: Value, key: Value): Undefined {
  const what = value === null ? 'None' : `${typeName(value)} object`;
  if (typeof key === 'string') return undefinedValue(`'${what}' has no attribute ${repr(key)}`);
  return undefinedValue(`${what} has no element ${typeof key === 'object' && key !== null ? `of type ${typeName(key)}` : repr(key)}`);
}

/** `value.name`: an attribute, or else an item. @throws TemplateError for what is undefined */
export function attribute(value: Value, name: string): Value {
  checkDefined(value);
  const own = found(value, name);
  if (own !== undefined) return own;
  const inside = ownItem(value, name);
  return inside === undefined ? missing(value, name) : inside;
}

/** The filter `attr`: an attribute, never an item. */
export function attributeAlone(value: Value, name: string): Value {
  checkDefined(value);
  const own = found(value, name);
  return own === undefined ? missing(value, name) : own;
}

/** `value[key]`: an item, or else an attribute. @throws TemplateError for what is undefined */
export function item(value: Value, key: Value): Value {
  checkDefined(value);
  const own = ownItem(value, key);
  if (own !== undefined) return own;
  const named = typeof key === 'string' ? found(value, key) : undefined;
  return named === undefined ? missing(value, key) : named;
}
