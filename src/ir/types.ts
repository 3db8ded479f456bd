/** @file What the IR is made of: types, values, ops, functions, modules. Plain data; every pass returns new objects. */

import { at } from '../errors.ts';

export const BLOCK_TYPES = ['q8_0', 'q4_0', 'q4_1', 'q4_k', 'q6_k'] as const;
/** Block-quantised weights as llama.cpp stores them; only `dequantise` reads them. */
export type BlockType = (typeof BLOCK_TYPES)[number];
export const SCALAR_TYPES = ['f32', 'f16', 'bf16', 'i32', 'u32', 'bool'] as const;
export type DType = (typeof SCALAR_TYPES)[number] | BlockType;

/** A size known at compile time, or the name of one bound at run time (`B` batch, `T` tokens of a sequence, …). */
export type Dim = number | string;
export type Shape = readonly Dim[];
/** A tensor type, row-major; rank 0 is a scalar. */
export interface Type {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Where a value was written down: file:line:column of the model definition. */
export interface Loc {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The whole path of the file, for those who read it; `file` is its last part. */
  readonly path?: string;
}

/** An SSA value; identity is the object, the name is for people. */
export interface Value {
  readonly name: string;
  readonly type: Type;
  readonly loc?: Loc;
}

export type Attr = number | string | boolean | readonly number[] | readonly string[];
export type Attrs = Readonly<Record<string, Attr>>;

/** An operation on values; what `name` means is in its `OpDef`. */
export interface Op {
  readonly name: string;
  readonly operands: readonly Value[];
  readonly attrs: Attrs;
  readonly results: readonly Value[];
  /** The ops inside a `fused` op. */
  readonly body?: Body;
}

export interface Body {
  readonly params: readonly Value[];
  readonly ops: readonly Op[];
  readonly results: readonly Value[];
}

/**
 * What a function's argument is, which decides where it lives:
 * `value` an activation · `weight` a parameter of the model · `input` of the step (tokens, labels) · `scalar` a run-time scalar of
 * the call · `saved` by this call's forward · `cotangent` of a result · `state` read and written in place (optimizer, KV cache).
 */
export const ROLES = ['value', 'weight', 'input', 'scalar', 'saved', 'cotangent', 'state'] as const;
export type Role = (typeof ROLES)[number];
/** What a result is: `value` for the caller · `save` for this call's backward · `grad` of an argument · `update` of a `state`. */
export const RESULT_ROLES = ['value', 'save', 'grad', 'update'] as const;
export type ResultRole = (typeof RESULT_ROLES)[number];

export interface Param {
  readonly value: Value;
  readonly role: Role;
}
export interface Result {
  readonly value: Value;
  readonly role: ResultRole;
  /** `grad`: index of the argument of the forward function; `update`: index of the `state` parameter it overwrites. */
  readonly of?: number;
}

/** A function: parameters by role, ops in order of execution, results by role. */
export interface Func {
  readonly name: string;
  readonly params: readonly Param[];
  readonly ops: readonly Op[];
  readonly results: readonly Result[];
}

/** Functions, callees before their callers; the last one is `main`. */
export interface Module {
  /** Largest value of each run-time dimension, in the order of the uniform block. */
  readonly dims: Readonly<Record<string, number>>;
  readonly funcs: readonly Func[];
}

/** The last dimension of a shape, 1 of a scalar. */
export function lastDim(shape: Shape): Dim {
  return shape.length === 0 ? 1 : at(shape, -1);
}
export function typeText(type: Type): string {
  return `${type.dtype}[${type.shape.join(',')}]`;
}
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}
export function sameType(a: Type, b: Type): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape);
}
export function isBlockType(dtype: DType): dtype is BlockType {
  return (BLOCK_TYPES as readonly string[]).includes(dtype);
}

/** Values of the callee's last scalars that differ between its calls (`call … {lifted = [0.5]}`). */
export function liftedOf(call: Op): readonly number[] {
  return (call.attrs['lifted'] ?? []) as readonly number[];
}

/** Sizes of the run-time dimensions, by name. */
export type DimSizes = Readonly<Record<string, number>>;

/** The number a dimension stands for. @throws when `sizes` lacks its name. */
export function dimSize(dim: Dim, sizes: DimSizes): number {
  if (typeof dim === 'number') return dim;
  const size = sizes[dim];
  if (size === undefined) throw new Error(`dimension ${dim} has no size`);
  return size;
}
export function elements(shape: Shape, sizes: DimSizes): number {
  return shape.reduce<number>((product, dim) => product * dimSize(dim, sizes), 1);
}

const BYTES: Record<DType, { bytes: number; block: number }> = {
  f32: { bytes: 4, block: 1 },
  i32: { bytes: 4, block: 1 },
  u32: { bytes: 4, block: 1 },
  bool: { bytes: 4, block: 1 },
  f16: { bytes: 2, block: 1 },
  bf16: { bytes: 2, block: 1 },
  q8_0: { bytes: 34, block: 32 },
  q4_0: { bytes: 18, block: 32 },
  q4_1: { bytes: 20, block: 32 },
  q4_k: { bytes: 144, block: 256 },
  q6_k: { bytes: 210, block: 256 },
};
/** Bytes of a tensor as it lies on the device, before alignment. */
export function byteSize(type: Type, sizes: DimSizes): number {
  const { bytes, block } = BYTES[type.dtype];
  return (elements(type.shape, sizes) / block) * bytes;
}
export function blockOf(dtype: DType): { bytes: number; block: number } {
  return BYTES[dtype];
}
