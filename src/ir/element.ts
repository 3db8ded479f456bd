/** @file How an op computes an element of its result from elements of its operands while a kernel is built. */

import { splat } from '../codegen/kernel/expr.ts';
import type { Expr } from '../codegen/kernel/ir.ts';
import type { Dim, Type } from './types.ts';

/** Number of elements that are computed at once along the last axis. */
export type Width = 1 | 4;

/** A position in a tensor: its row-major offset, or its index along each axis. */
export type Place = { readonly flat: Expr } | { readonly axes: readonly Expr[] };

/** A position of the result, and the elements of the operands as seen from it. Operands are given by name or number; `width` defaults to the result's. */
export interface ElementAt<Name extends string = string> {
  readonly width: Width;
  /** Type of the result. */
  readonly type: Type;
  /** How many operands there are. */
  readonly count: number;
  typeOf(operand: Name | number): Type;
  axes(): readonly Expr[];
  flat(): Expr;
  /** The run-time value of a dimension. */
  extent(dim: Dim): Expr;
  /** Binds an expression to a variable, so that it is computed once. */
  bind(name: string, value: Expr): Expr;
  /** The operand's element at the same position, broadcast into the result. It is a single one if the operand has one for all four. */
  same(operand: Name | number, width?: Width): Expr;
  /** The operand's element at a place that depends only on the position and the attributes, so that equal ops at equal positions share it. */
  at(operand: Name | number, place: () => Place, width?: Width): Expr;
  /** The operand's element at a place that depends on data. */
  lookUp(operand: Name | number, place: Place, width?: Width): Expr;
  /** The single element of the operand that lies `by` elements further along the last axis. */
  beside(operand: Name | number, by: number): Expr;
  /** The element at the position of a weight that is stored in its checkpoint's dtype, as f32. */
  stored(operand: Name | number): Expr;
}

/**
 * How four neighbours along the last axis are computed at once: operands in `along` are read four elements at a time. Elements of those in
 * `positional` depend on their position alone, so each of the four is computed by itself.
 */
export interface FourWide<Operand = number> {
  readonly along: readonly Operand[];
  readonly positional?: readonly Operand[];
}

/** Repeats a single f32 four times if `width` is 4. */
export const widened = (value: Expr, width: Width): Expr => (width === 4 && value.type === 'f32' ? splat('vec4f', value) : value);
