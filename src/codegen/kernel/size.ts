/** @file Sizes that are products of numbers and of dimension symbols known only at run time. */

import { invariant } from '../../errors.ts';
import { mul, u32 } from './expr.ts';
import type { Expr } from './ir.ts';

/** A product; strings are dimension symbols. The empty product is 1. */
export interface Size {
  readonly of: readonly (number | string)[];
}

/** The size when no symbol is in it, else null. */
export function staticSize(size: Size): number | null {
  let product = 1;
  for (const factor of size.of) {
    if (typeof factor === 'string') return null;
    product *= factor;
  }
  return product;
}

/** The size as an expression, in which numbers fold into one factor. @param dim gives the run-time value of a symbol */
export function sizeExpr(size: Size, dim: (symbol: string) => Expr): Expr {
  let constant = 1;
  let product: Expr | null = null;
  for (const factor of size.of) {
    if (typeof factor === 'number') constant *= factor;
    else product = product === null ? dim(factor) : mul(product, dim(factor));
  }
  return product === null ? u32(constant) : mul(product, u32(constant));
}

/** Whether the size is known to be a multiple of `of`. */
export function dividesBy(size: Size, of: number): boolean {
  const constant = size.of.reduce<number>((product, factor) => (typeof factor === 'number' ? product * factor : product), 1);
  return constant % of === 0;
}

/** The size at run time, given the symbols' values. Throws where a symbol has none. */
export function sizeValue(size: Size, dims: Readonly<Record<string, number>>): number {
  return size.of.reduce<number>((product, factor) => {
    const value = typeof factor === 'number' ? factor : dims[factor];
    invariant(value !== undefined, `dimension ${factor} has no value`);
    return product * value;
  }, 1);
}
