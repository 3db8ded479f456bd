/** @file The data of the IR: types, values, ops, functions, modules. They are plain objects, and every pass returns new ones. */

import { at } from '../errors.ts';

export const BLOCK_TYPES = ['q8_0', 'q4_0', 'q4_1', 'q4_k', 'q6_k'] as const;
/** A dtype of block-quantised weights as llama.cpp stores them; only `dequantise` reads it. */
export type BlockType = (typeof BLOCK_TYPES)[number];
export const SCALAR_TYPES = ['f32', 'f16', 'bf16', 'i32', 'u32', 'bool'] as const;
export type DType = (typeof SCALAR_TYPES)[number] | BlockType;
export const DTYPES: readonly DType[] = [...SCALAR_TYPES, ...BLOCK_TYPES];

/** A size known at compile time, or the name of one bound at run time (`B` batch, `T` tokens of a sequence, …). */
export type Dim = number | string;
export type Shape = readonly Dim[];
/** A tensor type, row-major; rank 0 is a scalar. */
export interface Type {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** The place in a model definition where a value was made. */
export interface Loc {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Full path of the file, for code that opens it; `file` is its last part. */
  readonly path?: string;
}

/** An SSA value. Its identity is the object; its name is for people. */
export interface Value {
  readonly name: string;
  readonly type: Type;
  readonly loc?: Loc;
}

export type Attr = number | string | boolean | readonly number[] | readonly string[];
export type Attrs = Readonly<Record<string, Attr>>;

/** An operation on values. The `OpDef` of this name says what it computes. */
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
 * What a parameter of a function holds, which decides where it lives: `value` an activation, `weight` a parameter of the model, `input` data
 * of the step (tokens, labels), `scalar` a run-time scalar of the call, `saved` a value that the call's forward kept, `cotangent` the gradient
 * of a result, `state` a tensor that is updated in place (optimizer state, KV cache).
 */
export const ROLES = ['value', 'weight', 'input', 'scalar', 'saved', 'cotangent', 'state'] as const;
export type Role = (typeof ROLES)[number];
/** What a result is: `value` is for the caller, `save` for the call's backward, `grad` is an argument's gradient, `update` a `state`'s new value. */
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

/** The functions of a model, callees before their callers. The last one is `main`. */
export interface Module {
  /** Largest value of each run-time dimension, in the order of the uniform block. */
  readonly dims: Readonly<Record<string, number>>;
  readonly funcs: readonly Func[];
}

/** The last dimension of a shape; 1 for a scalar. */
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
export function isDType(name: string): name is DType {
  return (DTYPES as readonly string[]).includes(name);
}
export function isBlockType(dtype: DType): dtype is BlockType {
  return (BLOCK_TYPES as readonly string[]).includes(dtype);
}

/** The values that a call gives the callee's last scalar parameters, which stand for constants that differ between calls (`call … {lifted = [0.5]}`). */
export function liftedOf(call: Op): readonly number[] {
  return (call.attrs['lifted'] ?? []) as readonly number[];
}

/** Sizes of the run-time dimensions, by name. */
export type DimSizes = Readonly<Record<string, number>>;

/** The size that a dimension stands for. @throws Error if `sizes` lacks its name */
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
/** Bytes of a tensor on the device, before alignment. */
export function byteSize(type: Type, sizes: DimSizes): number {
  const { bytes, block } = BYTES[type.dtype];
  return (elements(type.shape, sizes) / block) * bytes;
}
export function blockOf(dtype: DType): { bytes: number; block: number } {
  return BYTES[dtype];
}
