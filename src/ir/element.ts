/** @file The element of a result, as an op makes it of elements of its operands while a kernel is built. */

import { splat } from '../codegen/kernel/expr.ts';
import type { Expr } from '../codegen/kernel/ir.ts';
import type { Dim, Type } from './types.ts';

/** Elements computed at once, along the last axis. */
export type Width = 1 | 4;

/** A position in a tensor: row-major, or along each axis. */
export type Place = { readonly flat: Expr } | { readonly axes: readonly Expr[] };

/** A position of the result, and elements of the operands, which are given by name or by number. `width` is the result's where it is left out. */
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
  /** Binds what is computed to a name, so that it is computed once. */
  bind(name: string, value: Expr): Expr;
  /** The operand's element at the same position, as it broadcasts into the result; a single one where it has one for all four. */
  same(operand: Name | number, width?: Width): Expr;
  /** The operand's element at a place that follows from the position and the attributes alone: equal ops at equal positions share it. */
  at(operand: Name | number, place: () => Place, width?: Width): Expr;
  /** The operand's element at a place that depends on data. */
  lookUp(operand: Name | number, place: Place, width?: Width): Expr;
  /** One element of the operand, `by` further along the last axis than the position. */
  beside(operand: Name | number, by: number): Expr;
  /** The element, in f32, of a weight as its checkpoint stores it. */
  stored(operand: Name | number): Expr;
}

/**
 * Of which operands four neighbours along the last axis are computed, four at a time (`along`), and which differ between the four by their
 * position alone, so that each is asked for by itself (`positional`).
 */
export interface FourWide<Operand = number> {
  readonly along: readonly Operand[];
  readonly positional?: readonly Operand[];
}

/** Four equal elements of a single one, where four are wanted. */
export const widened = (value: Expr, width: Width): Expr => (width === 4 && value.type === 'f32' ? splat('vec4f', value) : value);
