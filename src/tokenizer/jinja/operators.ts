/** @file Python's operators. */

import { raise, unsupported } from './failure.ts';
import { percentFormat } from './format.ts';
import { compareTexts } from './json.ts';
import {
  checkDefined,
  equals,
  isInteger,
  isNumber,
  itemsOf,
  keyOf,
  lengthOf,
  list,
  type Markup,
  markup,
  numeric,
  tuple,
  typeName,
  type Value,
} from './values.ts';

export type Arithmetic = '+' | '-' | '*' | '/' | '//' | '%' | '**';
export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' };
/** A text with what means something in HTML escaped. */
export const escaped = (text: string): string => text.replaceAll(/[&<>'"]/g, (character) => HTML[character] ?? character);

const isMarkup = (value: Value): value is Markup => typeof value === 'object' && value !== null && value.kind === 'markup';

const noOperator = (sign: string, a: Value, b: Value): never =>
  raise('TypeError', `unsupported operand type(s) for ${sign}: '${typeName(a)}' and '${typeName(b)}'`);

function added(a: Value, b: Value): Value {
  if (typeof a === 'string' && typeof b === 'string') return a + b;
  if ((isMarkup(a) || typeof a === 'string') && (isMarkup(b) || typeof b === 'string'))
    return markup([a, b].map((part) => (isMarkup(part) ? part.text : escaped(part))).join(''));
  if (typeof a === 'string') return raise('TypeError', `can only concatenate str (not "${typeName(b)}") to str`);
  if (typeof a === 'object' && a !== null && typeof b === 'object' && b !== null) {
    if (a.kind === 'list' && b.kind === 'list') return list([...a.items, ...b.items]);
    if (a.kind === 'tuple' && b.kind === 'tuple') return tuple([...a.items, ...b.items]);
  }
  if (typeof a === 'object' && (a?.kind === 'list' || a?.kind === 'tuple'))
    return raise('TypeError', `can only concatenate ${a.kind} (not "${typeName(b)}") to ${a.kind}`);
  return noOperator('+', a, b);
}

/** A sequence so many times, or undefined where neither operand is one. */
function repeated(a: Value, b: Value): Value | undefined {
  const [sequence, count] = isInteger(a) ? [b, a] : [a, b];
  if (!isInteger(count)) return undefined;
  const times = Math.max(0, Number(count));
  if (times > Number.MAX_SAFE_INTEGER) raise('OverflowError', "cannot fit 'int' into an index-sized integer");
  if (typeof sequence === 'string') return sequence.repeat(times);
  if (typeof sequence !== 'object' || sequence === null) return undefined;
  if (sequence.kind === 'markup') return markup(sequence.text.repeat(times));
  if (sequence.kind !== 'list' && sequence.kind !== 'tuple') return undefined;
  return { ...sequence, items: Array.from({ length: times }, () => sequence.items).flat() };
}

/** Division to whole numbers, towards minus infinity. */
const floorOf = (a: bigint, b: bigint): bigint => a / b - (a % b !== 0n && a < 0n !== b < 0n ? 1n : 0n);

function integers(sign: Arithmetic, a: bigint, b: bigint): bigint | number {
  switch (sign) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      if (b === 0n) return raise('ZeroDivisionError', 'division by zero');
      if (!Number.isSafeInteger(Number(a)) || !Number.isSafeInteger(Number(b))) return unsupported('division of integers beyond 2^53');
      return Number(a) / Number(b);
    case '//':
      return b === 0n ? raise('ZeroDivisionError', 'integer division or modulo by zero') : floorOf(a, b);
    case '%':
      return b === 0n ? raise('ZeroDivisionError', 'integer modulo by zero') : a - floorOf(a, b) * b;
    case '**':
      return b >= 0n ? a ** b : floats('**', Number(a), Number(b));
  }
}

/** Python's remainder of floats, which has the sign of the divisor. */
function remainder(a: number, b: number): number {
  const rest = a % b;
  if (rest === 0) return b < 0 ? -0 : 0;
  return rest < 0 !== b < 0 ? rest + b : rest;
}

function floats(sign: Arithmetic, a: number, b: number): number {
  switch (sign) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return b === 0 ? raise('ZeroDivisionError', 'float division by zero') : a / b;
    case '//':
      return b === 0 ? raise('ZeroDivisionError', 'float floor division by zero') : Math.floor((a - remainder(a, b)) / b + 0.5);
    case '%':
      return b === 0 ? raise('ZeroDivisionError', 'float modulo') : remainder(a, b);
    case '**': {
      if (a === 0 && b < 0) return raise('ZeroDivisionError', '0.0 cannot be raised to a negative power');
      if (a < 0 && !Number.isInteger(b)) return unsupported('a complex number');
      const power = a ** b;
      return Number.isFinite(power) || !Number.isFinite(a) || !Number.isFinite(b) ? power : raise('OverflowError', 'Numerical result out of range');
    }
  }
}

/** A number as a float. @throws TemplateError for an integer that is too large */
export function floatOf(value: bigint | number | boolean): number {
  const float = Number(value);
  return typeof value === 'bigint' && !Number.isFinite(float) ? raise('OverflowError', 'int too large to convert to float') : float;
}

/** @throws TemplateError where Python raises an error, as for a text and a number */
export function arithmetic(sign: Arithmetic, a: Value, b: Value): Value {
  if (sign === '%' && typeof a === 'string') return percentFormat(a, b);
  checkDefined(a);
  checkDefined(b);
  if (isNumber(a) && isNumber(b)) {
    const [left, right] = [numeric(a), numeric(b)];
    return typeof left === 'bigint' && typeof right === 'bigint' ? integers(sign, left, right) : floats(sign, floatOf(left), floatOf(right));
  }
  if (isMarkup(a) && sign === '%') return unsupported('% of a text that counts as HTML');
  if (sign === '+') return added(a, b);
  return (sign === '*' ? repeated(a, b) : undefined) ?? noOperator(sign === '**' ? '** or pow()' : sign, a, b);
}

export function signed(sign: '-' | '+', value: Value): Value {
  checkDefined(value);
  if (!isNumber(value)) return raise('TypeError', `bad operand type for unary ${sign}: '${typeName(value)}'`);
  const number = numeric(value);
  return sign === '-' ? -number : number;
}

/** What two values differ by in Python's order: below 0, 0, above 0, or NaN. @throws TemplateError for values that have no order */
export function order(sign: string, a: Value, b: Value): number {
  checkDefined(a);
  checkDefined(b);
  if (isNumber(a) && isNumber(b)) {
    const [left, right] = [numeric(a), numeric(b)];
    return left < right ? -1 : left > right ? 1 : equals(left, right) ? 0 : Number.NaN;
  }
  const [x, y] = [a, b].map((side) => (isMarkup(side ?? null) ? (side as Markup).text : side));
  if (typeof x === 'string' && typeof y === 'string') return compareTexts(x, y);
  if (typeof a === 'object' && typeof b === 'object' && a !== null && b !== null)
    if ((a.kind === 'list' && b.kind === 'list') || (a.kind === 'tuple' && b.kind === 'tuple')) {
      const length = Math.min(a.items.length, b.items.length);
      for (let i = 0; i < length; i++) {
        const [left = null, right = null] = [a.items[i], b.items[i]];
        if (!equals(left, right)) return order(sign, left, right);
      }
      return a.items.length - b.items.length;
    }
  return raise('TypeError', `'${sign}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

/** Python's `in`. @throws TemplateError for what holds nothing */
export function contains(whole: Value, part: Value): boolean {
  if (isMarkup(whole)) return contains(whole.text, part);
  if (typeof whole === 'string') {
    if (isMarkup(part)) return whole.includes(part.text);
    return typeof part === 'string' ? whole.includes(part) : raise('TypeError', `'in <string>' requires string as left operand, not ${typeName(part)}`);
  }
  if (typeof whole === 'object' && whole?.kind === 'dict') return whole.entries.has(keyOf(part));
  if (typeof whole === 'object' && whole?.kind === 'view' && whole.of === 'keys') return whole.dict.entries.has(keyOf(part));
  const items = itemsOf(whole) ?? raise('TypeError', `argument of type '${typeName(whole)}' is not iterable`);
  // a generator is taken up to what is found, as in Python
  for (const item of items) if (equals(item, part)) return true;
  return false;
}

export function compare(sign: Comparison, a: Value, b: Value): boolean {
  switch (sign) {
    case '==':
      return equals(a, b);
    case '!=':
      return !equals(a, b);
    case 'in':
      return contains(b, a);
    case 'not in':
      return !contains(b, a);
    case '<':
      return order(sign, a, b) < 0;
    case '<=':
      return order(sign, a, b) <= 0;
    case '>':
      return order(sign, a, b) > 0;
    case '>=':
      return order(sign, a, b) >= 0;
  }
}

/** Where a slice begins, ends and how it steps. */
export interface SliceBounds {
  readonly from: Value;
  readonly to: Value;
  readonly step: Value;
}

function boundOf(value: Value): number | null {
  checkDefined(value);
  if (value === null) return null;
  return isInteger(value) ? Number(value) : raise('TypeError', 'slice indices must be integers or None or have an __index__ method');
}

/** The indices that a slice takes. */
function sliceIndices(length: number, { from, to, step: given }: SliceBounds): readonly number[] {
  const step = boundOf(given) ?? 1;
  if (step === 0) raise('ValueError', 'slice step cannot be zero');
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const place = (bound: number | null, absent: number): number => (bound === null ? absent : Math.min(high, Math.max(low, bound < 0 ? bound + length : bound)));
  const [first, end] = step > 0 ? [place(boundOf(from), 0), place(boundOf(to), length)] : [place(boundOf(from), length - 1), place(boundOf(to), -1)];
  return Array.from({ length: Math.max(0, Math.ceil((end - first) / step)) }, (_, i) => first + i * step);
}

/** @throws TemplateError for what cannot be sliced */
export function sliced(value: Value, bounds: SliceBounds): Value {
  checkDefined(value);
  if (typeof value === 'object' && (value?.kind === 'list' || value?.kind === 'tuple'))
    return { ...value, items: sliceIndices(value.items.length, bounds).map((i) => value.items[i] ?? null) };
  if (typeof value === 'string') {
    const characters = Array.from(value);
    return sliceIndices(characters.length, bounds)
      .map((i) => characters[i])
      .join('');
  }
  if (lengthOf(value) !== undefined && typeof value === 'object' && (value?.kind === 'range' || value?.kind === 'markup'))
    return unsupported(`a slice of a ${typeName(value)}`);
  return raise('TypeError', `'${typeName(value)}' object is not subscriptable`);
}
