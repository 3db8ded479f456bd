/** @file The arithmetic of kernels, by type: f32 rounded after every operation, integers wrapped to 32 bits. */

import { at } from '../../../errors.ts';
import { type BinOp, type Fn, type KScalar, type KType, scalarOf } from '../ir.ts';

/** Scalars are numbers (booleans 0 and 1), vectors arrays of them; neither is changed after it was made. */
export type LaneValue = number | readonly number[];

/** The nearest f16, ties to even, as a number. */
export function roundF16(value: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(value))), -14);
  const unit = 2 ** (exponent - 10);
  const scaled = value / unit;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const rounded = (rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor) * unit;
  return Math.abs(rounded) > 65504 ? Math.sign(rounded) * Number.POSITIVE_INFINITY : rounded;
}

/** A float converted to an integer: truncated, kept in range, NaN to 0. */
function saturate(type: 'u32' | 'i32', value: number): number {
  const [low, high] = type === 'u32' ? [0, 0xffffffff] : [-0x80000000, 0x7fffffff];
  return Math.min(Math.max(Math.trunc(value) || 0, low), high);
}

/** A number made a value of the type: rounded, or wrapped. */
export function convertTo(type: KScalar, value: number): number {
  switch (type) {
    case 'f32':
      return Math.fround(value);
    case 'f16':
      return roundF16(value);
    case 'u32':
      return value >>> 0;
    case 'i32':
      return value | 0;
    case 'bool':
      return value === 0 ? 0 : 1;
  }
}

/** The function of a binary operator on operands of the scalar type; comparisons give 0 or 1. */
export function applyBin(op: BinOp, type: KScalar): (a: number, b: number) => number {
  const integer = type === 'u32' || type === 'i32';
  const out = (value: number): number => convertTo(type, value);
  switch (op) {
    case '+':
      return (a, b) => out(a + b);
    case '-':
      return (a, b) => out(a - b);
    case '*':
      return integer ? (a, b) => out(Math.imul(a, b)) : (a, b) => out(a * b);
    case '/':
      // In WGSL, x / 0 is x for integers.
      return integer ? (a, b) => (b === 0 ? a : out(Math.trunc(a / b))) : (a, b) => out(a / b);
    case '%':
      return integer ? (a, b) => (b === 0 ? 0 : out(a % b)) : (a, b) => out(a % b);
    case '&':
      return (a, b) => out(a & b);
    case '|':
      return (a, b) => out(a | b);
    case '^':
      return (a, b) => out(a ^ b);
    case '<<':
      return (a, b) => out(a << (b & 31));
    case '>>':
      return type === 'i32' ? (a, b) => a >> (b & 31) : (a, b) => a >>> (b & 31);
    case '==':
      return (a, b) => Number(a === b);
    case '!=':
      return (a, b) => Number(a !== b);
    case '<':
      return (a, b) => Number(a < b);
    case '<=':
      return (a, b) => Number(a <= b);
    case '>':
      return (a, b) => Number(a > b);
    case '>=':
      return (a, b) => Number(a >= b);
    case '&&':
      return (a, b) => Number(a !== 0 && b !== 0);
    case '||':
      return (a, b) => Number(a !== 0 || b !== 0);
  }
}

const UNARY: Partial<Record<Fn, (x: number) => number>> = {
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  inverseSqrt: (x) => 1 / Math.sqrt(x),
  tanh: Math.tanh,
  sin: Math.sin,
  cos: Math.cos,
  abs: Math.abs,
  floor: Math.floor,
  ceil: Math.ceil,
  sign: Math.sign,
  round: (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)),
};
const SEVERAL: Partial<Record<Fn, (...x: number[]) => number>> = {
  pow: (a = 0, b = 0) => a ** b,
  min: Math.min,
  max: Math.max,
  clamp: (x = 0, low = 0, high = 0) => Math.min(Math.max(x, low), high),
  fma: (a = 0, b = 0, c = 0) => a * b + c,
};

/** The function of a call whose result has type `type`, on values of `from`. */
export function applyCall(fn: Fn, type: KType, from: readonly KType[]): (args: readonly LaneValue[]) => LaneValue {
  const scalar = scalarOf(type);
  const several = UNARY[fn] ?? SEVERAL[fn];
  if (several !== undefined) {
    const op = several as (...x: number[]) => number;
    return (args) => lift(args, (...x) => convertTo(scalar, op(...x)));
  }
  const argument = scalarOf(at(from, 0));
  switch (fn) {
    case 'dot':
      return ([a, b]) => (a as number[]).reduce((sum, x, i) => Math.fround(sum + Math.fround(x * ((b as number[])[i] as number))), 0);
    case 'select':
      return ([no, yes, cond]) =>
        typeof cond === 'number'
          ? ((cond ? yes : no) as LaneValue)
          : lift([no as LaneValue, yes as LaneValue, cond as LaneValue], (n, y, c) => (c ? y : n) as number);
    case 'convert':
      return ([value]) =>
        lift([value as LaneValue], (x) => {
          const saturates = (argument === 'f32' || argument === 'f16') && (scalar === 'u32' || scalar === 'i32');
          return saturates ? saturate(scalar, x as number) : convertTo(scalar, x as number);
        });
    case 'bitcast':
      return reinterpreted(argument, scalar);
    case 'unpack2x16float':
      return ([word]) => [fromHalf((word as number) & 0xffff), fromHalf((word as number) >>> 16)];
    case 'pack2x16float':
      return ([pair]) => (toHalf(at(pair as number[], 0)) | (toHalf(at(pair as number[], 1)) << 16)) >>> 0;
    case 'extractBits':
      return (args) => lift(args, (x, offset, count) => extract(argument, x as number, offset as number, count as number));
    case 'insertBits':
      return (args) =>
        lift(args, (x, bits, offset, count) => {
          const mask = mask32(count as number) << (offset as number);
          return convertTo(argument, ((x as number) & ~mask) | (((bits as number) << (offset as number)) & mask));
        });
    case 'unpack4xI8':
      return ([word]) => [0, 8, 16, 24].map((shift) => ((word as number) << (24 - shift)) >> 24);
    case 'dot4I8Packed':
      return ([a, b]) => [0, 8, 16, 24].reduce((sum, shift) => sum + (((a as number) << (24 - shift)) >> 24) * (((b as number) << (24 - shift)) >> 24), 0);
    default:
      throw new Error(`internal: the interpreter lacks ${fn}`);
  }
}

/** Applies a scalar function per component; scalars go along with vectors. */
function lift(args: readonly LaneValue[], op: (...x: number[]) => number): LaneValue {
  const vector = args.find((arg) => typeof arg !== 'number') as readonly number[] | undefined;
  if (vector === undefined) return op(...(args as readonly number[]));
  return vector.map((_, i) => op(...args.map((arg) => (typeof arg === 'number' ? arg : (arg[i] as number)))));
}

/** The same 32 bits as a value of another type. */
function reinterpreted(from: KScalar, to: KScalar): (args: readonly LaneValue[]) => LaneValue {
  const bits = new DataView(new ArrayBuffer(4));
  return (args) =>
    lift(args, (value) => {
      if (from === 'f32') bits.setFloat32(0, value as number);
      else bits.setInt32(0, (value as number) | 0);
      return to === 'f32' ? bits.getFloat32(0) : to === 'u32' ? bits.getUint32(0) : bits.getInt32(0);
    });
}

const mask32 = (count: number): number => (count >= 32 ? -1 : (1 << count) - 1);

function extract(type: KScalar, value: number, offset: number, count: number): number {
  if (count === 0) return 0;
  const bits = (value >>> offset) & mask32(count);
  return type === 'i32' ? (bits << (32 - count)) >> (32 - count) : bits >>> 0;
}

function fromHalf(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

function toHalf(value: number): number {
  const rounded = roundF16(value);
  const sign = rounded < 0 || Object.is(rounded, -0) ? 0x8000 : 0;
  const size = Math.abs(rounded);
  if (Number.isNaN(size)) return 0x7e00;
  if (size === Number.POSITIVE_INFINITY) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | (size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  return sign | ((exponent + 15) << 10) | ((size / 2 ** exponent - 1) * 1024);
}
