/** @file What an op is: everything about it in one literal. Ops live in ./ops, one file each; ./ops/index.ts lists them. */

import type { Cost } from '../cost.ts';
import { EbbError } from '../errors.ts';
import type { FuncBuilder } from './builder.ts';
import type { Tensor } from './tensor.ts';
import { type Attrs, type Dim, type DimSizes, type Type, typeText, type Value } from './types.ts';

/**
 * How code is made of an op: `pointwise` one scalar expression per element · `index` an element of the result is an element of an
 * operand, or a function of the index · `reduce` over axes · `dot` · `kernel` has a kernel of its own · `composite` is decomposed first ·
 * `control` calls and fused groups.
 */
export type OpKind = 'pointwise' | 'index' | 'reduce' | 'dot' | 'kernel' | 'composite' | 'control';

export interface Sample {
  readonly types: readonly Type[];
  readonly attrs?: Attrs;
  /** Values of an operand where random ones would not do (indices, conditions, positive numbers). */
  readonly values?: Readonly<Record<number, readonly number[]>>;
}

/** A use that breaks constraint `C<n>` of the op's documentation. */
export interface Rejection extends Sample {
  readonly constraint: string;
}

export interface VjpContext {
  readonly b: FuncBuilder;
  readonly operands: readonly Value[];
  readonly results: readonly Value[];
  readonly attrs: Attrs;
  /** Cotangent of each result; null is a symbolic zero. At least one is not null. */
  readonly cotangents: readonly (Value | null)[];
  /** Which operands' cotangents are wanted. */
  readonly needs: readonly boolean[];
}

/** An op: its types, meaning, cost, and what passes may do with it. docs/adding.md goes through one. */
export interface OpDef {
  readonly name: string;
  readonly kind: OpKind;
  /** Result types. @throws OpError naming the constraint that does not hold. */
  readonly infer: (types: readonly Type[], attrs: Attrs) => readonly Type[];
  /** Reference evaluation; composites go through `decompose`. */
  readonly evaluate?: (inputs: readonly Tensor[], attrs: Attrs, sizes: DimSizes, types: readonly Type[]) => readonly Tensor[];
  readonly decompose?: (b: FuncBuilder, operands: readonly Value[], attrs: Attrs) => readonly Value[];
  /** Cotangents of the operands; null where zero or not wanted. Absent: not differentiable (its operands get none). */
  readonly vjp?: (context: VjpContext) => readonly (Value | null)[];
  /** FLOPs at any sizes of the run-time dimensions. Absent: those of the ops that it decomposes into. */
  readonly flops?: (inputs: readonly Type[], results: readonly Type[], attrs: Attrs) => Cost;
  readonly samples: readonly Sample[];
  readonly rejects?: readonly Rejection[];
}

export class OpError extends EbbError {
  override readonly name = 'OpError';
}

/** @throws OpError `op C1: message` when `holds` is false. */
export function constraint(holds: boolean, op: string, id: string, message: () => string): asserts holds {
  if (!holds) throw new OpError(`${op} ${id}: ${message()}`);
}

/** Checks the number of operands and returns them as a tuple. */
export function operand(types: readonly Type[], index: number, op: string): Type {
  const type = types[index];
  if (type === undefined) throw new OpError(`${op} C0: operand ${index + 1} is missing`);
  return type;
}

export function numberAttr(attrs: Attrs, key: string, op: string): number {
  const value = attrs[key];
  if (typeof value !== 'number') throw new OpError(`${op}: attribute ${key} must be a number, found ${JSON.stringify(value)}`);
  return value;
}
export function numbersAttr(attrs: Attrs, key: string, op: string): readonly number[] {
  const value = attrs[key];
  if (!Array.isArray(value)) throw new OpError(`${op}: attribute ${key} must be a list of numbers, found ${JSON.stringify(value)}`);
  return value as readonly number[];
}

/** Shapes in attributes are lists of texts: `["B", "T", "64"]`. */
export function shapeAttr(attrs: Attrs, key: string, op: string): readonly Dim[] {
  const value = attrs[key];
  if (!Array.isArray(value)) throw new OpError(`${op}: attribute ${key} must be a shape, found ${JSON.stringify(value)}`);
  return value.map((dim) => (/^[0-9]+$/.test(String(dim)) ? Number(dim) : String(dim)));
}
export function shapeToAttr(shape: readonly Dim[]): readonly string[] {
  return shape.map(String);
}

/** numpy's rule: aligned at the last axis, sizes equal or 1. @throws OpError (`id`) when two shapes do not fit. */
export function broadcastShapes(types: readonly Type[], op: string, id: string): readonly Dim[] {
  const rank = Math.max(0, ...types.map((t) => t.shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let found: Dim = 1;
    for (const type of types) {
      const dim = type.shape[axis - (rank - type.shape.length)] ?? 1;
      constraint(dim === 1 || found === 1 || dim === found, op, id, () => `shapes must broadcast, found ${types.map(typeText).join(' and ')}`);
      if (dim !== 1) found = dim;
    }
    return found;
  });
}
