/** @file Constructors of kernel expressions, with the constant folding that keeps index arithmetic readable. */

import { type BinOp, type Builtin, type Expr, type Fn, isVector, type KScalar, type KType, type KVector, scalarOf } from './ir.ts';

export const u32 = (value: number): Expr => ({ kind: 'const', type: 'u32', value });
export const i32 = (value: number): Expr => ({ kind: 'const', type: 'i32', value });
export const f32 = (value: number): Expr => ({ kind: 'const', type: 'f32', value });
export const bool = (value: boolean): Expr => ({ kind: 'const', type: 'bool', value: value ? 1 : 0 });
export const constant = (type: KType, value: number): Expr => ({ kind: 'const', type, value });
export const builtin = (name: Builtin): Expr => ({ kind: 'builtin', type: 'u32', name });

/** A word of the call's uniform block; `comment` says in printed kernels what it is. */
export const param = (index: number, comment?: string): Expr =>
  comment === undefined ? { kind: 'param', type: 'u32', index } : { kind: 'param', type: 'u32', index, comment };

const COMPARISONS = new Set<BinOp>(['==', '!=', '<', '<=', '>', '>=', '&&', '||']);

const FOLD: Partial<Record<BinOp, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => Math.trunc(a / b),
  '%': (a, b) => a % b,
};

function foldable(value: number, type: KType): boolean {
  return type === 'u32' ? value >= 0 && value <= 0xffffffff : type === 'i32' && Math.abs(value) <= 0x7fffffff;
}

/** A binary operation; integer constants fold, and x+0, x*1, x*0, x/1, x%1 simplify. */
export function bin(op: BinOp, a: Expr, b: Expr): Expr {
  const type: KType = COMPARISONS.has(op) ? 'bool' : isVector(a.type) ? a.type : isVector(b.type) ? b.type : a.type;
  const integer = type === 'u32' || type === 'i32';
  if (integer && a.kind === 'const' && b.kind === 'const') {
    const fold = FOLD[op];
    const value = fold && !(b.value === 0 && (op === '/' || op === '%')) ? fold(a.value, b.value) : Number.NaN;
    if (Number.isInteger(value) && foldable(value, type)) return { kind: 'const', type, value };
  }
  if (integer && b.kind === 'const') {
    if (b.value === 0 && (op === '+' || op === '-' || op === '<<' || op === '>>' || op === '|')) return a;
    if (b.value === 1 && (op === '*' || op === '/')) return a;
    if ((b.value === 0 && op === '*') || (b.value === 1 && op === '%')) return { kind: 'const', type, value: 0 };
  }
  if (integer && a.kind === 'const') {
    if (a.value === 0 && op === '+') return b;
    if (a.value === 1 && op === '*') return b;
    if (a.value === 0 && (op === '*' || op === '/' || op === '%')) return { kind: 'const', type, value: 0 };
  }
  return { kind: 'bin', type, op, a, b };
}

export const add = (a: Expr, b: Expr): Expr => bin('+', a, b);
export const sub = (a: Expr, b: Expr): Expr => bin('-', a, b);
export const mul = (a: Expr, b: Expr): Expr => bin('*', a, b);
export const div = (a: Expr, b: Expr): Expr => bin('/', a, b);
export const rem = (a: Expr, b: Expr): Expr => bin('%', a, b);
export const lt = (a: Expr, b: Expr): Expr => bin('<', a, b);
export const le = (a: Expr, b: Expr): Expr => bin('<=', a, b);
export const ge = (a: Expr, b: Expr): Expr => bin('>=', a, b);
export const eq = (a: Expr, b: Expr): Expr => bin('==', a, b);
export const and = (a: Expr, b: Expr): Expr => bin('&&', a, b);
export const not = (a: Expr): Expr => ({ kind: 'un', type: 'bool', op: '!', a });
export const neg = (a: Expr): Expr => ({ kind: 'un', type: a.type, op: '-', a });

/** Functions that take several numbers of one type. */
const OF_SEVERAL: ReadonlySet<Fn> = new Set(['min', 'max', 'clamp', 'pow', 'fma']);

/** The operands, of which those that are scalars are spread over as many lanes as the others have. */
function evened(args: readonly [Expr, ...Expr[]]): readonly [Expr, ...Expr[]] {
  const wide = args.find((arg) => isVector(arg.type))?.type;
  if (wide === undefined || !isVector(wide)) return args;
  const spread = (arg: Expr): Expr => (isVector(arg.type) || arg.type !== scalarOf(wide) ? arg : splat(wide, arg));
  const [first, ...rest] = args;
  return [spread(first), ...rest.map(spread)];
}

/** A function whose result has its first operand's type (`dot`: its scalar type). Where some of several numbers are vectors, the others become so. */
export function call(fn: Fn, ...given: readonly [Expr, ...Expr[]]): Expr {
  const args = OF_SEVERAL.has(fn) ? evened(given) : given;
  const type = fn === 'dot' ? scalarOf(args[0].type) : args[0].type;
  return { kind: 'call', type, fn, args };
}
export const min = (a: Expr, b: Expr): Expr => call('min', a, b);
export const max = (a: Expr, b: Expr): Expr => call('max', a, b);
export const select = (no: Expr, yes: Expr, cond: Expr): Expr => call('select', no, yes, cond);
export const convert = (type: KType, value: Expr): Expr =>
  value.type === type
    ? value
    : value.kind === 'const' && !isVector(type) && type !== 'bool'
      ? { kind: 'const', type, value: value.value }
      : { kind: 'call', type, fn: 'convert', args: [value] };
export const bitcast = (type: KType, value: Expr): Expr => (value.type === type ? value : { kind: 'call', type, fn: 'bitcast', args: [value] });
export const typedCall = (type: KType, fn: Fn, ...args: readonly Expr[]): Expr => ({ kind: 'call', type, fn, args });

export const vec = (type: KVector, parts: readonly Expr[]): Expr => ({ kind: 'vec', type, parts });
export const splat = (type: KVector, value: Expr): Expr => ({ kind: 'vec', type, parts: [value] });
export const component = (of: Expr, index: number | Expr): Expr => ({
  kind: 'component',
  type: scalarOf(of.type) as KScalar,
  of,
  index: typeof index === 'number' ? u32(index) : index,
});

/**
 * A loop bound that the driver cannot know: software drivers unroll loops that they know, and then take seconds to compile them.
 * Word 0 of the uniform block is a dimension, which is below 2³¹, or 0 where there is none, so that nothing is added.
 */
export const hiddenBound = (count: number): Expr => add(bin('>>', param(0), u32(31)), u32(count));
