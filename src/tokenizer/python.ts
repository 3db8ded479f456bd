/** @file Values as Python writes them, which is how Jinja2 writes values into a text. */

/** A value of a template as the port keeps it. */
export interface RuntimeValue {
  readonly type: string;
  readonly value: unknown;
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Python's repr of a string. */
function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = text.replaceAll(/[\\\n\r\t\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    const hex = code.toString(16);
    return ESCAPES[character] ?? (code < 256 ? `\\x${hex.padStart(2, '0')}` : code < 65536 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`);
  });
  return `${quote}${quote === "'" ? inner.replaceAll("'", "\\'") : inner}${quote}`;
}

/** Python's repr of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits = '', exponent = ''] = value.toExponential().split('e');
    const [sign, power] = [exponent.startsWith('-') ? '-' : '+', exponent.replace(/^[+-]/, '')];
    return `${digits}e${sign}${power.padStart(2, '0')}`;
  }
  if (Object.is(value, -0)) return '-0.0';
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

const entriesOf = (value: unknown): readonly (readonly [string, RuntimeValue])[] => (value instanceof Map ? [...(value as Map<string, RuntimeValue>)] : []);
const listOf = (value: unknown): readonly RuntimeValue[] => (Array.isArray(value) ? (value as RuntimeValue[]) : []);

/** Python's repr of a value. */
function repr(value: RuntimeValue): string {
  return value.type === 'StringValue' ? quoted(String(value.value)) : str(value);
}

/** Python's str of a value. What is undefined is written as nothing. */
export function str({ type, value }: RuntimeValue): string {
  switch (type) {
    case 'BooleanValue':
      return value === true ? 'True' : 'False';
    case 'NullValue':
      return 'None';
    case 'UndefinedValue':
      return '';
    case 'FloatValue':
      return floatText(Number(value));
    case 'ArrayValue':
      return `[${listOf(value).map(repr).join(', ')}]`;
    case 'TupleValue': {
      const items = listOf(value).map(repr);
      return items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
    }
    case 'ObjectValue':
    case 'KeywordArgumentsValue':
      return `{${entriesOf(value)
        .map(([key, inner]) => `${quoted(key)}: ${repr(inner)}`)
        .join(', ')}}`;
    default:
      return String(value);
  }
}

/** How tojson writes: Python's json.dumps as transformers calls it. */
export interface JsonStyle {
  /** Spaces to a level; null for one line. */
  readonly indent: number | null;
  readonly separators: readonly [item: string, key: string] | null;
  readonly sortKeys: boolean;
  readonly ensureAscii: boolean;
}

/** Python's json.dumps of a value. @throws Error for a value that is none of JSON's */
export function dumps(given: RuntimeValue, style: JsonStyle): string {
  const [item, colon] = style.separators ?? [style.indent === null ? ', ' : ',', ': '];
  const text = (value: string): string => {
    const json = JSON.stringify(value);
    return style.ensureAscii ? json.replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`) : json;
  };
  const joined = (open: string, close: string, parts: readonly string[], depth: number): string => {
    if (parts.length === 0) return open + close;
    if (style.indent === null) return `${open}${parts.join(item)}${close}`;
    const line = (level: number): string => `\n${' '.repeat(level * (style.indent ?? 0))}`;
    return `${open}${line(depth + 1)}${parts.join(`${item.trimEnd()}${line(depth + 1)}`)}${line(depth)}${close}`;
  };
  const write = ({ type, value }: RuntimeValue, depth: number): string => {
    switch (type) {
      case 'StringValue':
        return text(String(value));
      case 'BooleanValue':
        return String(value);
      case 'NullValue':
        return 'null';
      case 'IntegerValue':
        return String(value);
      case 'FloatValue':
        return floatText(Number(value)).replace('nan', 'NaN').replace('inf', 'Infinity');
      case 'ArrayValue':
      case 'TupleValue':
        return joined(
          '[',
          ']',
          listOf(value).map((inner) => write(inner, depth + 1)),
          depth,
        );
      case 'ObjectValue':
      case 'KeywordArgumentsValue': {
        const entries = style.sortKeys ? [...entriesOf(value)].sort(([a], [b]) => (a < b ? -1 : 1)) : entriesOf(value);
        return joined(
          '{',
          '}',
          entries.map(([key, inner]) => `${text(key)}${colon}${write(inner, depth + 1)}`),
          depth,
        );
      }
      default:
        throw new Error(`tojson: ${type === 'UndefinedValue' ? 'an undefined value' : type} is no JSON`);
    }
  };
  return write(given, 0);
}
