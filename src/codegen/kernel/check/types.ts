/** @file The typing rules of kernel expressions: WGSL's, for what the kernel IR has. */

import { type BinOp, type Expr, type Fn, isVector, type KType, scalarOf, widthOf } from '../ir.ts';

const isInteger = (type: KType): boolean => scalarOf(type) === 'u32' || scalarOf(type) === 'i32';
const isFloat = (type: KType): boolean => scalarOf(type) === 'f32' || scalarOf(type) === 'f16';
const EQUAL = new Set<BinOp>(['==', '!=']);
const ORDER = new Set<BinOp>(['<', '<=', '>', '>=']);
const BITS = new Set<BinOp>(['&', '|', '^']);
const SHIFTS = new Set<BinOp>(['<<', '>>']);
const LOGIC = new Set<BinOp>(['&&', '||']);

/** Functions whose arguments all have the result's type: how many they take, and which types those may be. */
const SAME_TYPE: Partial<Record<Fn, { count: number; of: (type: KType) => boolean }>> = {
  exp: { count: 1, of: isFloat },
  log: { count: 1, of: isFloat },
  sqrt: { count: 1, of: isFloat },
  inverseSqrt: { count: 1, of: isFloat },
  tanh: { count: 1, of: isFloat },
  sin: { count: 1, of: isFloat },
  cos: { count: 1, of: isFloat },
  floor: { count: 1, of: isFloat },
  ceil: { count: 1, of: isFloat },
  round: { count: 1, of: isFloat },
  pow: { count: 2, of: isFloat },
  fma: { count: 3, of: isFloat },
  abs: { count: 1, of: (type) => isFloat(type) || isInteger(type) },
  sign: { count: 1, of: (type) => isFloat(type) || isInteger(type) },
  min: { count: 2, of: (type) => type !== 'bool' },
  max: { count: 2, of: (type) => type !== 'bool' },
  clamp: { count: 3, of: (type) => type !== 'bool' },
  subgroupAdd: { count: 1, of: (type) => type !== 'bool' },
  subgroupMax: { count: 1, of: (type) => type !== 'bool' },
};

/** What is wrong with the types of an expression's operands, or null. Names are checked elsewhere. */
export function typeProblem(expr: Expr): string | null {
  switch (expr.kind) {
    case 'bin':
      return binProblem(expr.op, expr.a.type, expr.b.type, expr.type);
    case 'un': {
      const fits =
        expr.op === '!' ? expr.a.type === 'bool' : expr.op === '~' ? isInteger(expr.a.type) : isFloat(expr.a.type) || scalarOf(expr.a.type) === 'i32';
      return fits && expr.a.type === expr.type ? null : `${expr.op} of ${expr.a.type} gives ${expr.type}`;
    }
    case 'call':
      return callProblem(
        expr.fn,
        expr.args.map(({ type }) => type),
        expr.type,
        expr.args,
      );
    case 'vec': {
      const width = expr.parts.reduce((sum, { type }) => sum + widthOf(type), 0);
      const scalars = expr.parts.every(({ type }) => scalarOf(type) === scalarOf(expr.type));
      const splat = expr.parts.length === 1 && width === 1;
      return scalars && (splat || width === widthOf(expr.type)) ? null : `${expr.type} made of ${expr.parts.map(({ type }) => type).join(', ')}`;
    }
    case 'component':
      if (!isVector(expr.of.type)) return `a component of ${expr.of.type}`;
      if (expr.index.kind === 'const' && expr.index.value >= widthOf(expr.of.type)) return `component ${expr.index.value} of ${expr.of.type}`;
      return expr.type === scalarOf(expr.of.type) && isInteger(expr.index.type) ? null : `a component of ${expr.of.type} read as ${expr.type}`;
    case 'load':
    case 'element':
      return expr.index.type === 'u32' || expr.index.type === 'i32' ? null : `an index is ${expr.index.type}`;
    default:
      return null;
  }
}

function binProblem(op: BinOp, a: KType, b: KType, type: KType): string | null {
  const wrong = `${a} ${op} ${b} gives ${type}`;
  if (LOGIC.has(op)) return a === 'bool' && b === 'bool' && type === 'bool' ? null : wrong;
  if (EQUAL.has(op) || ORDER.has(op)) return a === b && !isVector(a) && type === 'bool' && (EQUAL.has(op) || a !== 'bool') ? null : wrong;
  if (SHIFTS.has(op)) return isInteger(a) && scalarOf(b) === 'u32' && widthOf(a) === widthOf(b) && type === a ? null : wrong;
  if (BITS.has(op)) return a === b && type === a && (isInteger(a) || a === 'bool') ? null : wrong;
  const same = a === b || (scalarOf(a) === scalarOf(b) && (!isVector(a) || !isVector(b)));
  return same && scalarOf(a) !== 'bool' && type === (isVector(a) ? a : b) ? null : wrong;
}

function callProblem(fn: Fn, from: readonly KType[], type: KType, args: readonly Expr[]): string | null {
  const wrong = `${fn}(${from.join(', ')}) gives ${type}`;
  const [first = type, second = type, third = type] = from;
  const rule = SAME_TYPE[fn];
  if (rule !== undefined) return from.length === rule.count && from.every((arg) => arg === type) && rule.of(type) ? null : wrong;
  const fits = ((): boolean => {
    switch (fn) {
      case 'dot':
        return from.length === 2 && first === second && isVector(first) && type === scalarOf(first);
      case 'select':
        return from.length === 3 && first === type && second === type && third === 'bool';
      case 'convert':
        return from.length === 1 && widthOf(first) === widthOf(type);
      case 'bitcast':
        return from.length === 1 && first !== 'bool' && type !== 'bool';
      case 'unpack2x16float':
        return from.length === 1 && first === 'u32' && type === 'vec2f';
      case 'pack2x16float':
        return from.length === 1 && first === 'vec2f' && type === 'u32';
      case 'extractBits':
        return from.length === 3 && isInteger(first) && type === first && second === 'u32' && third === 'u32';
      case 'insertBits':
        return from.length === 4 && isInteger(first) && type === first && second === first && third === 'u32' && from[3] === 'u32';
      case 'dot4I8Packed':
        return from.length === 2 && first === 'u32' && second === 'u32' && type === 'i32';
      case 'unpack4xI8':
        return from.length === 1 && first === 'u32' && type === 'vec4i';
      case 'subgroupBroadcast':
        return from.length === 2 && first === type && second === 'u32' && args[1]?.kind === 'const';
      default:
        return from.length === 2 && first === type && second === 'u32';
    }
  })();
  return fits ? null : wrong;
}
