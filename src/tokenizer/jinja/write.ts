/** @file Values as Python writes them, which is how Jinja2 writes values into a text. */

import { unsupported } from './failure.ts';
import { type Value, viewItems } from './values.ts';

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Python's repr of a text. */
function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = text.replaceAll(/[\\\n\r\t\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, (character) => {
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

const joined = (items: readonly Value[]): string => items.map(repr).join(', ');

/** Python's repr of a value. @throws TemplateError for one whose text holds an address */
export function repr(value: Value): string {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return floatText(value);
  if (typeof value === 'string') return quoted(value);
  switch (value.kind) {
    case 'list':
      return `[${joined(value.items)}]`;
    case 'tuple':
      return value.items.length === 1 ? `(${joined(value.items)},)` : `(${joined(value.items)})`;
    case 'dict':
      return `{${[...value.entries.values()].map(([key, inner]) => `${repr(key)}: ${repr(inner)}`).join(', ')}}`;
    case 'view':
      return `dict_${value.of}([${joined(viewItems(value))}])`;
    case 'range':
      return `range(${value.from}, ${value.to}${value.step === 1 ? '' : `, ${value.step}`})`;
    case 'undefined':
      return 'Undefined';
    case 'markup':
      return `Markup(${quoted(value.text)})`;
    case 'loop':
      return `<LoopContext ${str(value.attribute('index') ?? null)}/${str(value.attribute('length') ?? null)}>`;
    case 'namespace':
      return `<Namespace ${repr({ kind: 'dict', entries: new Map([...value.values].map(([key, inner]) => [key, [key, inner]])) })}>`;
    default:
      return unsupported(`writing a ${value.kind}, whose text in Python holds an address,`);
  }
}

/** Python's str of a value. What is undefined is written as nothing. */
export function str(value: Value): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return repr(value);
  if (value.kind === 'undefined') return '';
  return value.kind === 'markup' ? value.text : repr(value);
}
