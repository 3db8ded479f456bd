/** @file Arithmetic of models: elementwise functions, comparisons, reductions, losses. Operands broadcast against each other as in numpy. */

import { shapeToAttr } from '../ir/define.ts';
import type { Dim, DType } from '../ir/types.ts';
import { activeTrace, recordOne } from './context.ts';
import { misuse } from './error.ts';
import { concat, div, exp, lift, mul, sub, sum, type Tensor } from './nn.ts';

const unary =
  (name: string) =>
  (x: Tensor): Tensor =>
    recordOne(name, [x]);
/** If `y` is a number, it takes the dtype of x. */
const binary =
  (name: string) =>
  (x: Tensor, y: Tensor | number): Tensor =>
    recordOne(name, [x, typeof y === 'number' ? constant(y, x.type.dtype) : y]);

/** Natural logarithm, elementwise. */
export const log = unary('log');
/** √x, elementwise. */
export const sqrt = unary('sqrt');
/** 1/√x, elementwise. */
export const rsqrt = unary('rsqrt');
/** |x|, elementwise. */
export const abs = unary('abs');
/** sin x, elementwise; x in radians. */
export const sin = unary('sin');
/** cos x, elementwise; x in radians. */
export const cos = unary('cos');
/** The larger of x and y, elementwise. */
export const maximum = binary('max');
/** The smaller of x and y, elementwise. */
export const minimum = binary('min');
/** Whether x = y, as bool; elementwise. */
export const equal = binary('eq');
/** Whether x < y, as bool; elementwise. */
export const less = binary('lt');
/** Whether x ≤ y, as bool; elementwise. */
export const lessEqual = binary('le');
/** Whether x ≥ y, as bool; elementwise. */
export const greaterEqual = binary('ge');
/** `yes` where `condition` (bool) holds, else `no`; elementwise. It does for tensors what `if` does for numbers. */
export const select = (condition: Tensor, yes: Tensor | number, no: Tensor | number): Tensor => recordOne('select', [condition, lift(yes), lift(no)]);

/** A number as a scalar tensor of `dtype`. */
export function constant(value: number, dtype: DType = 'f32'): Tensor {
  return activeTrace().b.constant(value, dtype);
}
/** An f32 tensor of `shape` that holds `value` everywhere. */
export const full = (shape: readonly Dim[], value: number): Tensor => broadcastTo(lift(value), shape);
/** x repeated to `shape`, along axes of size 1 and along new leading axes. */
export const broadcastTo = (x: Tensor, shape: readonly Dim[]): Tensor => recordOne('broadcast', [x], { shape: shapeToAttr(shape) });
/** x converted to f32, i32, u32 or bool. */
export const convert = (x: Tensor, to: 'f32' | 'i32' | 'u32' | 'bool'): Tensor => recordOne('convert', [x], { to });
/** An i32 tensor of `shape` that holds each element's index along `axis`. */
export const iota = (shape: readonly Dim[], axis: number): Tensor => recordOne('iota', [], { shape: shapeToAttr(shape), axis });

/** x², elementwise. */
export const square = (x: Tensor): Tensor => mul(x, x);
/** log(1 + eˣ), without overflow. */
export const softplus = (x: Tensor): Tensor => recordOne('add', [maximum(x, 0), log(recordOne('add', [exp(recordOne('neg', [abs(x)])), lift(1)]))]);

/** x to a constant power. Whole exponents up to 16 are products, ±½ are roots; others are exp(exponent·log x), which needs positive x. */
export function pow(x: Tensor, exponent: number): Tensor {
  if (exponent === 0.5) return sqrt(x);
  if (exponent === -0.5) return rsqrt(x);
  if (exponent === 0) return full(x.type.shape, 1);
  if (!Number.isInteger(exponent) || Math.abs(exponent) > 16) return exp(mul(log(x), exponent));
  let power = x;
  for (const bit of Math.abs(exponent).toString(2).slice(1)) power = bit === '1' ? mul(mul(power, power), x) : mul(power, power);
  return exponent < 0 ? div(lift(1), power) : power;
}

/** Maximum over `axes`, which stay with size 1. */
export const max = (x: Tensor, axes: readonly number[]): Tensor => recordOne('reduce_max', [x], { axes });

/** How many elements the axes hold: a number if their sizes are known, else an f32[] computed at run time. */
function countOf(x: Tensor, axes: readonly number[]): Tensor | number {
  const dims = axes.map((axis) => x.type.shape[axis] ?? misuse(`mean: axis ${axis} is none of [${x.type.shape.join(', ')}]`));
  const known = dims.reduce<number>((product, dim) => (typeof dim === 'number' ? product * dim : product), 1);
  const open = dims.filter((dim) => typeof dim === 'string');
  if (open.length === 0) return known;
  const ones = sum(
    full(open, known),
    open.map((_, i) => i),
  );
  return recordOne('reshape', [ones], { shape: [] }, 'count');
}

/** Mean over `axes`, which stay with size 1; axes of run-time size may be among them. */
export function meanOver(x: Tensor, axes: readonly number[]): Tensor {
  const count = countOf(x, axes);
  const total = sum(x, axes);
  return typeof count === 'number' ? mul(total, 1 / count) : div(total, count);
}

/** Mean of all elements; f32[]. */
export function mean(x: Tensor): Tensor {
  const axes = x.type.shape.map((_, i) => i);
  return recordOne('reshape', [meanOver(x, axes)], { shape: [] }, 'mean');
}

/** Mean of (prediction − target)² over all elements; f32[]. @throws TraceError if the shapes differ */
export function mseLoss(prediction: Tensor, target: Tensor): Tensor {
  const [a, b] = [prediction.type.shape, target.type.shape];
  if (a.join() !== b.join()) misuse(`mseLoss: prediction and target must have one shape, found [${a.join(', ')}] and [${b.join(', ')}]`);
  return mean(square(sub(prediction, target)));
}

/** x with `before` and `after` zeros along `axis`, whose size must be known. */
export function pad(x: Tensor, axis: number, before: number, after: number): Tensor {
  const zeros = (size: number): Tensor[] =>
    size > 0
      ? [
          full(
            x.type.shape.map((dim, i) => (i === axis ? size : dim)),
            0,
          ),
        ]
      : [];
  return before + after === 0 ? x : concat([...zeros(before), x, ...zeros(after)], axis);
}
