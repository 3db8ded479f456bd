/** @file Numbers and texts put into a text: Python's `%` and `str.format`. */

import { raise, unsupported } from './failure.ts';
import { checkDefined, isNumber, numeric, typeName, type Value } from './values.ts';
import { repr, str } from './write.ts';

/** A number rounded to so many digits behind the point; a tie goes to the even digit, as in Python. */
export function fixed(value: number, digits: number): string {
  if (!Number.isFinite(value) || Math.abs(value) >= 1e21 || digits < 0 || digits > 40) return unsupported(`rounding ${value} to ${digits} digits`);
  // sixty digits more than are asked for are enough to tell a tie
  const [whole = '', fraction = ''] = Math.abs(value)
    .toFixed(digits + 60)
    .split('.');
  const [kept, rest] = [BigInt(whole + fraction.slice(0, digits)), fraction.slice(digits)];
  const isTie = /^50*$/.test(rest);
  const rounded = (isTie ? kept % 2n === 1n : rest >= '5') ? kept + 1n : kept;
  const text = String(rounded).padStart(digits + 1, '0');
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  return `${sign}${text.slice(0, text.length - digits)}${digits > 0 ? `.${text.slice(-digits)}` : ''}`;
}

/** A text as wide as is asked for. @param align `<`, `>`, `^`, or `=` for zeros behind the sign */
function padded(text: string, width: number, fill: string, align: string): string {
  const missing = Math.max(0, width - Array.from(text).length);
  if (align === '<') return text + fill.repeat(missing);
  if (align === '^') return fill.repeat(Math.floor(missing / 2)) + text + fill.repeat(Math.ceil(missing / 2));
  const sign = align === '=' && /^[+-]/.test(text) ? text.charAt(0) : '';
  return sign + fill.repeat(missing) + text.slice(sign.length);
}

const withSign = (text: string, sign: string): string => (text.startsWith('-') || sign === '-' || sign === '' ? text : sign + text);

/** A number in the style of a letter. @param what names the conversion in an error */
function numberText(value: Value, letter: string, precision: number | undefined, what: string): string {
  checkDefined(value);
  if (!isNumber(value)) return raise('TypeError', `%${letter} format: a real number is required, not ${typeName(value)}`);
  const number = numeric(value);
  if (letter === 'f' || letter === 'F') return fixed(Number(number), precision ?? 6);
  if (typeof number === 'number' && !Number.isFinite(number)) return raise('ValueError', `cannot convert float ${number} to integer`);
  const whole = typeof number === 'bigint' ? number : BigInt(Math.trunc(number));
  if (precision !== undefined) return unsupported(what);
  if (letter === 'd' || letter === 'i' || letter === 'u') return String(whole);
  if (typeof number !== 'bigint') return raise('TypeError', `%${letter} format: an integer is required, not float`);
  if (letter === 'x') return whole.toString(16);
  if (letter === 'X') return whole.toString(16).toUpperCase();
  return letter === 'o' ? whole.toString(8) : unsupported(what);
}

const cut = (text: string, length: number | undefined): string => (length === undefined ? text : Array.from(text).slice(0, length).join(''));

/** Python's `%` behind a text. @throws TemplateError as Python, and for conversions that are not known */
export function percentFormat(text: string, given: Value): string {
  const isTuple = typeof given === 'object' && given?.kind === 'tuple';
  const isDict = typeof given === 'object' && given?.kind === 'dict';
  const values: Value[] = isTuple ? [...given.items] : [given];
  let usesNames = false;
  const value = (name: string | undefined): Value => {
    if (name === undefined) return values.length > 0 ? (values.shift() ?? null) : raise('TypeError', 'not enough arguments for format string');
    usesNames = true;
    if (!isDict) return raise('TypeError', 'format requires a mapping');
    return (given.entries.get(`s${name}`) ?? raise('KeyError', `'${name}'`))[1];
  };
  const made = text.replaceAll(
    /%(?:\((\w*)\))?([-+ 0#]*)(\d+)?(?:\.(\d+))?(.|$)/gsu,
    (what, name: string | undefined, flags: string, width: string | undefined, precision: string | undefined, letter: string) => {
      if (letter === '%') return '%';
      if (letter === '') return raise('ValueError', 'incomplete format');
      if (flags.includes('#')) return unsupported(`the format ${what}`);
      const digits = precision === undefined ? undefined : Number(precision);
      const isText = letter === 's' || letter === 'r';
      const argument = value(name);
      const inner = isText
        ? cut(letter === 's' ? str(argument) : repr(argument), digits)
        : withSign(numberText(argument, letter, digits, `the format ${what}`), flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '');
      const align = flags.includes('-') ? '<' : flags.includes('0') && !isText ? '=' : '>';
      return padded(inner, Number(width ?? 0), align === '=' ? '0' : ' ', align);
    },
  );
  // what can be asked for items may hold some that are not asked for
  const isMapping = typeof given === 'object' && given !== null && ['dict', 'list', 'range', 'undefined'].includes(given.kind);
  if (values.length > 0 && !usesNames && !isMapping) return raise('TypeError', 'not all arguments converted during string formatting');
  return made;
}

/** A value in the style of what stands behind a colon in `str.format`. */
function styled(value: Value, spec: string): string {
  if (spec === '') return str(value);
  const match = /^(?:(.)?([<>=^]))?([-+ ])?(0)?(\d+)?(?:\.(\d+))?([a-zA-Z%])?$/su.exec(spec);
  if (!match) return unsupported(`the format {:${spec}}`);
  const [, fill, align, sign = '', zero, width, precision, letter] = match;
  const digits = precision === undefined ? undefined : Number(precision);
  const isText = !isNumber(value) || typeof value === 'boolean';
  if (
    isText ? typeof value !== 'string' || (letter ?? 's') !== 's' || sign !== '' : letter === undefined && (typeof value !== 'bigint' || digits !== undefined)
  )
    return unsupported(`the format {:${spec}} of ${typeName(value)}`);
  const inner = isText ? cut(str(value), digits) : withSign(numberText(value, letter ?? 'd', digits, `the format {:${spec}}`), sign);
  return padded(inner, Number(width ?? 0), fill ?? (zero === undefined ? ' ' : '0'), align ?? (isText ? '<' : zero === undefined ? '>' : '='));
}

/** Where `str.format` finds values. */
export interface FormatValues {
  readonly positional: readonly Value[];
  readonly named: (name: string) => Value | undefined;
  /** The value of an attribute, or of an item. */
  readonly part: (value: Value, name: string, isAttribute: boolean) => Value;
}

/** Python's str.format. @throws TemplateError as Python, and for formats that are not known */
export function braceFormat(text: string, { positional, named, part }: FormatValues): string {
  let next = 0;
  return text.replaceAll(
    /\{\{|\}\}|\{([^{}!:]*)(?:!([a-z]))?(?::([^{}]*))?\}|[{}]/g,
    (whole, path: string | undefined, conversion: string | undefined, spec = '') => {
      if (whole === '{{' || whole === '}}') return whole.charAt(0);
      if (path === undefined) return unsupported(`the format ${text}`);
      const [, first = '', rest = ''] = /^([^.[]*)(.*)$/s.exec(path) ?? [];
      const found = first === '' ? positional[next++] : /^\d+$/.test(first) ? positional[Number(first)] : named(first);
      let value = found === undefined ? raise(/^\d*$/.test(first) ? 'IndexError' : 'KeyError', `'${first}' of a format is not given`) : found;
      for (const [, attribute, item = ''] of rest.matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)) value = part(value, attribute ?? item, attribute !== undefined);
      if (conversion !== undefined && conversion !== 'r' && conversion !== 's') return unsupported(`the format ${whole}`);
      return styled(conversion === 'r' ? repr(value) : conversion === 's' ? str(value) : value, spec);
    },
  );
}
