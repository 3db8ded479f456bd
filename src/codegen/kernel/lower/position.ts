/** @file A position in a tensor while a kernel is built: flat or by axes, each derived from the other only when it is asked for. */

import { at } from '../../../errors.ts';
import type { Dim, Shape } from '../../../ir/types.ts';
import { add, div, mul, rem, u32 } from '../expr.ts';
import type { Expr } from '../ir.ts';

export interface Index {
  readonly shape: Shape;
  /** What the index was made from: a flat position, or a position along each axis. */
  readonly given: { readonly flat: Expr } | { readonly axes: readonly Expr[] };
  flat(): Expr;
  axes(): readonly Expr[];
}

/**
 * The divisions that made the quotients of one kernel, so that (x / d) · d + x % d becomes x again: a division by a size known only at run time
 * costs a CPU 20 cycles. d is not 0 in any lane that gets there.
 */
export type Quotients = Map<Expr, { readonly whole: Expr; readonly by: Dim; readonly remainder: Expr }>;

export interface IndexScope {
  /** The run-time value of a dimension. */
  readonly dim: (dim: Dim) => Expr;
  /** Binds an intermediate to a variable, so that it is computed once. */
  readonly bind: (name: string, value: Expr) => Expr;
  readonly quotients: Quotients;
}

export function productExpr(shape: Shape, scope: IndexScope): Expr {
  const constant = shape.reduce<number>((p, d) => (typeof d === 'number' ? p * d : p), 1);
  return shape.filter((d) => typeof d === 'string').reduce<Expr>((p, d) => mul(p, scope.dim(d)), u32(constant));
}

/** The index at row-major position `flat` of `shape`. */
export function flatIndex(shape: Shape, flat: Expr, scope: IndexScope): Index {
  let axes: readonly Expr[] | null = null;
  return {
    shape,
    given: { flat },
    flat: () => flat,
    axes: () => {
      if (axes) return axes;
      let rest = flat;
      const out: Expr[] = [];
      for (let i = shape.length - 1; i > 0; i--) {
        const dim = at(shape, i);
        if (dim === 1) {
          out.unshift(u32(0));
          continue;
        }
        const leading = shape.slice(0, i).every((d) => d === 1);
        const remainder = leading ? rest : scope.bind('i', rem(rest, scope.dim(dim)));
        out.unshift(remainder);
        const quotient = leading ? u32(0) : scope.bind('q', div(rest, scope.dim(dim)));
        if (!leading) scope.quotients.set(quotient, { whole: rest, by: dim, remainder });
        rest = quotient;
      }
      if (shape.length > 0) out.unshift(shape[0] === 1 ? u32(0) : rest);
      axes = out;
      return out;
    },
  };
}

/** The index at a position given along each axis. */
export function axesIndex(shape: Shape, axes: readonly Expr[], scope: IndexScope): Index {
  let flat: Expr | null = null;
  return {
    shape,
    given: { axes },
    axes: () => axes,
    flat: () => {
      if (flat) return flat;
      let sum: Expr = u32(0);
      shape.forEach((dim, i) => {
        if (dim === 1) return;
        const axis = at(axes, i);
        const known = scope.quotients.get(sum);
        sum = known?.by === dim && known.remainder === axis ? known.whole : add(mul(sum, scope.dim(dim)), axis);
      });
      flat = scope.bind('at', sum);
      return flat;
    },
  };
}

/** The index that lies `by` elements further along the last axis. */
export function shiftedIndex(index: Index, by: number, scope: IndexScope): Index {
  const axes = index.axes();
  return axesIndex(
    index.shape,
    axes.map((axis, i) => (i === axes.length - 1 ? add(axis, u32(by)) : axis)),
    scope,
  );
}
