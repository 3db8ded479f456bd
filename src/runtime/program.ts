/** @file A compiled model as plain data: what the runtime needs to run any pattern of it, and nothing of the compiler. */

import { type Cost, costAt } from '../cost.ts';

/** Version of this schema; others are refused by name. */
export const PROGRAM_VERSION = 6;

/** Product of numbers and run-time dimensions, times `bytes`. */
export interface Extent {
  readonly of: readonly (number | string)[];
  readonly bytes: number;
}

export interface GridAxis {
  readonly of: readonly (number | string)[];
  readonly per: number;
}

export interface PipelineDecl {
  readonly name: string;
  /** Its kernel in the language of the program's target. */
  readonly code: string;
  readonly access: readonly ('read' | 'read_write')[];
  /** Bindings whose range moves from call to call. */
  readonly moves: readonly boolean[];
  readonly features: readonly string[];
}

/** A value of a function that lies in a buffer; parameters first, in their order (scalars have no bytes). */
export interface SlotDecl {
  readonly name: string;
  readonly extent: Extent;
  /** First and last dispatch that touches it. */
  readonly live: readonly [number, number];
  /** Another slot whose bytes these are. */
  readonly alias?: number;
  /** Line of the model definition, `file:line:column`, where it was asked for. */
  readonly loc?: string;
  /** What its elements are; f32 where it is missing. */
  readonly dtype?: string;
}

export interface DispatchDecl {
  readonly pipeline: number;
  /** Of a dispatch that writes gradients of weights: the pipeline that adds to them instead. */
  readonly adding?: number;
  /** The slot behind each binding. */
  readonly slots: readonly number[];
  /** For each binding the number of the part of its slot that is bound. Slots larger than a binding are cut into parts of `partBytes`. */
  readonly parts?: readonly number[];
  readonly grid: readonly [GridAxis, GridAxis, GridAxis];
  /** FLOPs of the group at any sizes of the run-time dimensions. */
  readonly flops: Cost;
  /** Whether it leaves partial sums that the next dispatch adds up: the two are one group. */
  readonly partial?: boolean;
  /** Slot that has to be zero before, if its gradient is written rather than added to. */
  readonly clears?: number;
}

export interface ScalarDecl {
  readonly name: string;
  readonly dtype: 'f32' | 'i32' | 'u32';
  readonly word: number;
}

export type ParamRole = 'value' | 'weight' | 'input' | 'scalar' | 'saved' | 'cotangent' | 'state';

export interface FunctionDecl {
  readonly name: string;
  readonly params: readonly { readonly role: ParamRole; readonly slot: number }[];
  readonly slots: readonly SlotDecl[];
  readonly scalars: readonly ScalarDecl[];
  readonly dispatches: readonly DispatchDecl[];
  readonly results: readonly { readonly role: 'value' | 'save' | 'grad' | 'update'; readonly slot: number; readonly of?: number }[];
  /** For each result: the parameter whose slot it overwrites, if any. */
  readonly inplace: readonly (number | null)[];
  /** Only of forwards that are trained: for each `value` result, the parameters that its cotangent flows back to. */
  readonly flows?: readonly (readonly number[])[];
}

/**
 * Where a backward's parameter comes from: an argument of the call, a saved result of its forward, a cotangent of a result. `seed`: the
 * result is the program's first, whose cotangent is the scalar `loss_scale`.
 */
export interface SourceDecl {
  readonly from: 'argument' | 'save' | 'cotangent' | 'seed';
  readonly index: number;
}

export interface BackwardDecl {
  /** Cotangents that arrive (`s`: the seed) and gradients that are wanted, as bits: the key of the form. */
  readonly key: string;
  readonly function: number;
  readonly sources: readonly SourceDecl[];
  /** For each result, the argument of the call whose gradient it is. */
  readonly gradientOf: readonly number[];
}

export type ArgumentDecl =
  | { readonly kind: 'value'; readonly value: number }
  // `offset`: some of its rows only, which start at this byte
  | { readonly kind: 'param'; readonly param: number; readonly offset?: number }
  | { readonly kind: 'input'; readonly input: number }
  | { readonly kind: 'state'; readonly state: number }
  | { readonly kind: 'scalar'; readonly name: string };

/** The residual of a unit `y = x + branch`: the number of x among the call's arguments, and of y among its results. */
export interface ResidualDecl {
  readonly argument: number;
  readonly result: number;
}

export interface CallDecl {
  readonly site: string;
  readonly unit: boolean;
  readonly forward: number;
  readonly arguments: readonly ArgumentDecl[];
  /** Ids of the values it makes. */
  readonly results: readonly number[];
  readonly backwards: readonly BackwardDecl[];
  /** The argument that the branch is added to, and the result that is the sum. Null for calls that are not units. */
  readonly residual: ResidualDecl | null;
  /** A backward may serve patterns that need less than it makes: the call takes the least one that has all they need. */
  readonly grouped?: boolean;
  /** Whether its forward keeps nothing, and runs again before its backward. */
  readonly again?: boolean;
  /** Scalars of the function whose values belong to this call, by name. */
  readonly constants?: Readonly<Record<string, number>>;
}

export interface ValueDecl {
  readonly name: string;
  readonly extent: Extent;
}

/** Ids that an input may hold. */
export interface IdRange {
  /** The smallest; null: any negative number means that there is nothing to look up. */
  readonly least: number | null;
  readonly below: number;
  /** The end of a sentence that says what there are so many of: `table embed has rows`. */
  readonly of: string;
}

export interface InputDecl {
  readonly name: string;
  readonly dtype: 'i32' | 'f32' | 'u32';
  readonly extent: Extent;
  /** The range of the ids that the input holds. Absent where it holds none. */
  readonly ids?: IdRange;
}

/** How a parameter starts: `normal` with `std`, `uniform` in [−bound, bound), or a constant. */
export type Initialiser =
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'constant'; readonly value: number };

export interface ParamInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  /** Bytes it takes on the device: whole words, up to 3 bytes more than its elements. */
  readonly bytes: number;
  readonly trainable: boolean;
  /** A computed table, not a weight. */
  readonly table: boolean;
  readonly init: Initialiser;
}

/** Parameters that always get their gradients together, laid side by side; those under weight decay first. */
export interface ParamGroup {
  readonly name: string;
  readonly params: readonly number[];
}

/** A compiled model as plain data: functions by form, calls, values and pipelines. docs/plan.md goes through the fields. */
export interface Program {
  readonly version: number;
  /** The language of its kernels: the name of a target (`wgsl`). */
  readonly target: string;
  readonly dims: readonly { readonly name: string; readonly bound: number }[];
  /** Most bytes of one binding; larger slots are bound in parts of this size. */
  readonly partBytes: number;
  readonly pipelines: readonly PipelineDecl[];
  readonly functions: readonly FunctionDecl[];
  readonly calls: readonly CallDecl[];
  readonly values: readonly ValueDecl[];
  readonly inputs: readonly InputDecl[];
  readonly states: readonly { readonly name: string; readonly extent: Extent }[];
  readonly params: readonly ParamInfo[];
  /** Values that main returns; the loss first in a training program. */
  readonly results: readonly number[];
  /** Functions of the update phase by name: `sqnorm`, `clip`, `adamw` and `adamw_count`, … (docs/plan.md). */
  readonly updates: Readonly<Record<string, number>>;
}

/** Run-time dimensions by name, e.g. B and T. */
export type Sizes = Readonly<Record<string, number>>;

/** The dispatch that ends each group of a function, which is the one that writes what the group gives. */
export function groupDispatches({ dispatches }: Pick<FunctionDecl, 'dispatches'>): DispatchDecl[] {
  return dispatches.filter((d) => d.partial !== true);
}

/** The sizes along the axes of an extent; NaN where `sizes` lacks one. */
export const extentShape = ({ of }: Pick<Extent, 'of'>, sizes: Sizes): number[] => of.map((d) => (typeof d === 'number' ? d : (sizes[d] ?? Number.NaN)));

export function extentBytes(extent: Extent, sizes: Sizes): number {
  return extentShape(extent, sizes).reduce((p, d) => p * d, extent.bytes);
}

/** FLOPs of one dispatch. @throws when `sizes` lacks a dimension that they depend on */
export function dispatchFlops({ flops }: Pick<DispatchDecl, 'flops'>, sizes: Sizes): number {
  return costAt(flops, sizes);
}

/** FLOPs of one call of a function. @throws when `sizes` lacks a dimension that they depend on */
export function functionFlops(fn: FunctionDecl, sizes: Sizes): number {
  return fn.dispatches.reduce((sum, d) => sum + dispatchFlops(d, sizes), 0);
}

/** Bytes of everything a dispatch binds, each once: what it moves at the least, where it reads and writes all of it. */
export function dispatchBytes(fn: FunctionDecl, { slots }: Pick<DispatchDecl, 'slots'>, sizes: Sizes): number {
  return [...new Set(slots)].reduce((sum, s) => sum + extentBytes(fn.slots[s]?.extent ?? { of: [], bytes: 0 }, sizes), 0);
}
