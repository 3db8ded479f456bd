/** @file Prints kernel expressions as WGSL, with the parentheses WGSL's grammar asks for and few others. */

import { at } from '../../../errors.ts';
import { type BinOp, type Builtin, type Expr, isVector, type KType, scalarOf } from '../../kernel/ir.ts';

/** Groups of operators in WGSL's grammar, from the loosest on. It orders only some of them; the others need parentheses. */
type Level = 'or' | 'and' | 'bits' | 'relation' | 'shift' | 'sum' | 'product';

const LEVEL: Record<BinOp, Level> = {
  '||': 'or',
  '&&': 'and',
  '&': 'bits',
  '|': 'bits',
  '^': 'bits',
  '==': 'relation',
  '!=': 'relation',
  '<': 'relation',
  '<=': 'relation',
  '>': 'relation',
  '>=': 'relation',
  '<<': 'shift',
  '>>': 'shift',
  '+': 'sum',
  '-': 'sum',
  '*': 'product',
  '/': 'product',
  '%': 'product',
};

/** Which operators may stand bare as the [left, right] operand of one at a level. */
const BARE: Record<Level, readonly [readonly Level[], readonly Level[]]> = {
  or: [
    ['or', 'relation', 'sum', 'product'],
    ['relation', 'sum', 'product'],
  ],
  and: [
    ['and', 'relation', 'sum', 'product'],
    ['relation', 'sum', 'product'],
  ],
  bits: [[], []],
  relation: [
    ['sum', 'product'],
    ['sum', 'product'],
  ],
  shift: [[], []],
  sum: [['sum', 'product'], ['product']],
  product: [['product'], []],
};

const BUILTIN: Record<Builtin, string> = {
  localX: 'local.x',
  localY: 'local.y',
  localZ: 'local.z',
  localIndex: 'local_index',
  workgroupX: 'workgroup.x',
  workgroupY: 'workgroup.y',
  workgroupZ: 'workgroup.z',
  numWorkgroupsX: 'num_workgroups.x',
  subgroupInvocation: 'subgroup_invocation',
  subgroupSize: 'subgroup_size',
};

/** A word of the uniform block, which is bound in rows of four. */
export const wordText = (index: number): string => `params[${index >> 2}][${index & 3}]`;

/** Prints an expression; `within: 'shift'` puts any comparison or logic in parentheses. */
export function printExpr(expr: Expr, within: 'any' | 'shift' = 'any'): string {
  const text = print(expr);
  return within === 'shift' && expr.kind === 'bin' && !['sum', 'product'].includes(LEVEL[expr.op]) ? `(${text})` : text;
}

function print(expr: Expr): string {
  switch (expr.kind) {
    case 'const':
      return printConst(expr.type, expr.value);
    case 'var':
      return expr.name;
    case 'builtin':
      return BUILTIN[expr.name];
    case 'param':
      return `${wordText(expr.index)}${expr.comment === undefined ? '' : ` /* ${expr.comment} */`}`;
    case 'bin': {
      const level = LEVEL[expr.op];
      const [left, right] = BARE[level];
      // a & b & c may stand bare only because its operators are one, which is associative.
      const same = level === 'bits' && expr.a.kind === 'bin' && expr.a.op === expr.op;
      return `${same ? print(expr.a) : operand(expr.a, left)} ${expr.op} ${operand(expr.b, right)}`;
    }
    case 'un': {
      const inner = operand(expr.a, []);
      return expr.op === '-' && inner.startsWith('-') ? `-(${inner})` : `${expr.op}${inner}`;
    }
    case 'call':
      return printCall(expr.type, expr.fn, expr.args);
    case 'vec':
      return `${expr.type}(${expr.parts.map(argument).join(', ')})`;
    case 'component': {
      const of = operand(expr.of, []);
      return expr.index.kind === 'const' ? `${of}.${at('xyzw', expr.index.value)}` : `${of}[${print(expr.index)}]`;
    }
    case 'load':
      return `${expr.buffer}[${print(expr.index)}]`;
    case 'element':
      return `${expr.array}[${print(expr.index)}]`;
  }
}

function operand(expr: Expr, bare: readonly Level[]): string {
  const text = print(expr);
  if (expr.kind === 'bin') return bare.includes(LEVEL[expr.op]) ? text : `(${text})`;
  if (expr.kind === 'un' || (expr.kind === 'const' && text.startsWith('-'))) return `(${text})`;
  return text;
}

/** An argument in a list: `a < b, c > (d)` would read as a template. */
function argument(expr: Expr): string {
  const text = print(expr);
  return expr.kind === 'bin' && LEVEL[expr.op] === 'relation' ? `(${text})` : text;
}

function printCall(type: KType, fn: string, args: readonly Expr[]): string {
  const list = args.map(argument).join(', ');
  if (fn === 'convert') return `${type}(${list})`;
  if (fn === 'bitcast') return `bitcast<${type}>(${list})`;
  return `${fn}(${list})`;
}

/** Infinities and NaN are shader-creation errors in WGSL; the uniform block hides them from constant evaluation. */
function printConst(type: KType, value: number): string {
  if (isVector(type)) return `${type}(${printConst(scalarOf(type), value)})`;
  if (type === 'bool') return value === 0 ? 'false' : 'true';
  if (type === 'u32') return `${value >>> 0}u`;
  if (type === 'i32') return value === -2147483648 ? 'i32(-2147483648)' : `${value | 0}i`;
  if (!Number.isFinite(value)) {
    const bits = Number.isNaN(value) ? '0x7fc00000u' : value > 0 ? '0x7f800000u' : '0xff800000u';
    const hidden = `bitcast<f32>(${bits} | (params[15][3] & 0u))`;
    return type === 'f16' ? `f16(${hidden})` : hidden;
  }
  return type === 'f16' ? `${decimal(value)}h` : decimal(f32Text(value));
}

function decimal(value: number | string): string {
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** The shortest decimal that rounds to the f32. The largest values are written in full, since a rounded one may overflow. */
function f32Text(value: number): string {
  const single = Math.fround(value);
  if (Object.is(single, -0)) return '-0.0';
  if (Math.abs(single) > 3.4e38) return String(single);
  for (let digits = 1; digits < 10; digits++) {
    const text = Number(single.toPrecision(digits));
    if (Math.fround(text) === single) return String(text);
  }
  return String(single);
}
