/**
 * @file Functions of f32 as IEEE 754 and PyTorch have them, where WGSL leaves drivers free: NaN comes through (software drivers lose it in
 * max, clamp, exp and log), log of what has none is not finite, sin and cos are exact to rounding. Bits tell what is NaN: drivers may take x != x for false.
 */

import { add, bin, bitcast, call, constant, mul, sub } from './expr.ts';
import { type Expr, isVector, scalarOf } from './ir.ts';

/** Names a value that is read several times. */
export type Bind = (name: string, value: Expr) => Expr;

const SIGN = 0x80000000;
const MAGNITUDE = 0x7fffffff;
const INFINITE = 0x7f800000;
const QUIET = 0x7fc00000;

/** A number of the same width as `x`. */
const like = (x: Expr, value: number): Expr => constant(x.type, value);
const bitsOf = (x: Expr): Expr => bitcast(isVector(x.type) ? 'vec4u' : 'u32', x);
const floatOf = (bits: Expr): Expr => bitcast(isVector(bits.type) ? 'vec4f' : 'f32', bits);
const masked = (bits: Expr, mask: number): Expr => bin('&', bits, like(bits, mask));
/** `word` where the sign bit of `flag` is set, else 0. */
const whereSet = (flag: Expr, word: Expr | number): Expr => mul(bin('>>', flag, like(flag, 31)), typeof word === 'number' ? like(flag, word) : word);

/** Sets the sign bit where `bits` are those of a NaN. */
const marksNan = (bits: Expr): Expr => add(masked(bits, MAGNITUDE), like(bits, SIGN - INFINITE - 1));
/** Sets the sign bit where `bits` are those of a NaN or an infinity. */
const marksNonFinite = (bits: Expr): Expr => add(masked(bits, MAGNITUDE), like(bits, SIGN - INFINITE));

/** 1 where a value is NaN, else 0, as u32. */
export const nanFlag = (x: Expr): Expr => whereSet(marksNan(bitsOf(x)), 1);

/** `made`, and NaN where one of the operands it was made of is. */
export function keepNan(made: Expr, ...operands: readonly [Expr, ...Expr[]]): Expr {
  const marks = operands.map((x) => marksNan(bitsOf(x))).reduce((a, b) => bin('|', a, b));
  return floatOf(bin('|', bitsOf(made), whereSet(marks, QUIET)));
}

/** Integers have no NaN. */
const nanKept = (fn: 'max' | 'min', x: Expr, y: Expr): Expr => (scalarOf(x.type) === 'f32' ? keepNan(call(fn, x, y), x, y) : call(fn, x, y));

/** `made`, and NaN where a `flag` of the operands is 1. */
export const nanWhere = (made: Expr, flag: Expr): Expr => floatOf(bin('|', bitsOf(made), mul(flag, like(flag, QUIET))));

/** The larger; NaN where one of them is. */
export const maxOf = (x: Expr, y: Expr): Expr => nanKept('max', x, y);
/** The smaller; NaN where one of them is. */
export const minOf = (x: Expr, y: Expr): Expr => nanKept('min', x, y);

/** The largest value of a subgroup; NaN where one lane's is. */
export function largestOf(value: Expr, bind: Bind): Expr {
  const own = bind('own', value);
  const [largest, flag] = [bind('largest', call('subgroupMax', own)), bind('flag', call('subgroupMax', nanFlag(own)))];
  return nanWhere(largest, flag);
}

/** x within ±limit; NaN stays. */
export const within = (x: Expr, limit: number): Expr => keepNan(call('clamp', x, like(x, -limit), like(x, limit)), x);

/** Beyond ±20 tanh is ±1 in f32, and some drivers overflow on larger arguments. */
const TANH_LIMIT = 20;

/** Software drivers give finite numbers for 0, for what is below it, and for infinity: −∞, NaN and ∞ are added to those. */
export function logOf(x: Expr, bind: Bind): Expr {
  const bits = bind('bits', bitsOf(x));
  const isZero = sub(masked(bits, MAGNITUDE), like(bits, 1));
  const isNegative = bin('&', bits, sub(bits, like(bits, 1)));
  const special = [whereSet(marksNonFinite(bits), bits), whereSet(isNegative, QUIET), whereSet(isZero, SIGN + INFINITE)];
  return add(call('log', x), floatOf(special.reduce((a, b) => bin('|', a, b))));
}

/** π in parts whose products with a whole number below 2¹⁵ are exact (Cody & Waite; the parts of SLEEF's xsinf). */
const PI = [3.140625, 0.0009670257568359375, 6.277114152908325e-7, 1.215420125655342e-10];
/** sin r = r + r³ · p(r²) on [−π/2, π/2], from the highest power down (SLEEF's xsinf). */
const SINE = [2.6083159809786594e-6, -0.00019810690719168633, 0.00833307858556509, -0.16666659712791443];

/**
 * sin x, or with `shift` ½ cos x = sin(x + π/2): x is turned back by a whole number of half turns, which change the sign alone. Exact to
 * 3·10⁻⁷ for |x| up to 3·10⁴, and to 2·10⁻⁶ up to 10⁵; further out what is left of x has ever fewer digits, and the result stays within ±1.
 */
function sineOf(bind: Bind, x: Expr, shift: 0 | 0.5): Expr {
  const turns = bind('turns', call('round', add(mul(x, like(x, 1 / Math.PI)), like(x, shift))));
  const away = shift === 0 ? turns : bind('away', sub(turns, like(x, shift)));
  const rest = PI.reduce((left, part) => sub(left, mul(away, like(x, part))), x);
  const r = bind('r', call('clamp', rest, like(x, -1.6), like(x, 1.6)));
  const square = bind('square', mul(r, r));
  const p = SINE.map((c) => like(x, c)).reduce((sum, c) => add(mul(sum, square), c));
  const odd = sub(turns, mul(like(x, 2), call('floor', mul(turns, like(x, 0.5)))));
  const sine = mul(add(r, mul(mul(r, square), p)), sub(like(x, 1), mul(like(x, 2), odd)));
  return floatOf(bin('|', bitsOf(sine), whereSet(marksNonFinite(bitsOf(x)), QUIET)));
}

/** These follow IEEE 754 for f32, scalars and vectors; `maxOf` and `minOf` take integers too. */
export const tanhOf = (x: Expr): Expr => call('tanh', within(x, TANH_LIMIT));
export const expOf = (x: Expr): Expr => keepNan(call('exp', x), x);
export const signOf = (x: Expr): Expr => keepNan(call('sign', x), x);
export const sinOf = (x: Expr, bind: Bind): Expr => sineOf(bind, x, 0);
export const cosOf = (x: Expr, bind: Bind): Expr => sineOf(bind, x, 0.5);
