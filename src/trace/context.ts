/** @file The trace in progress: model code calls plain functions, which record ops here. */

import { EbbError } from '../errors.ts';
import { type FuncBuilder, funcBuilder } from '../ir/builder.ts';
import type { Attrs, DType, Loc, Type, Value } from '../ir/types.ts';
import { callerLoc } from './location.ts';

/** How a parameter starts: `normal` with `std`, `uniform` in [−bound, bound), or a constant. */
export type Initialiser =
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'constant'; readonly value: number };

export interface ParamDecl {
  readonly name: string;
  readonly shape: readonly number[];
  /** As it lies on the device: f32 when trainable, the checkpoint's dtype when frozen. */
  readonly dtype: DType;
  readonly trainable: boolean;
  readonly init: Initialiser;
  /** A fixed table (rotary cosines) rather than a weight: computed, never loaded, saved or trained. */
  readonly table?: () => Float32Array;
}

/** A low-rank adapter on a linear layer: y += scale · (dropout(x) Aᵀ) Bᵀ (Hu et al. 2021). */
export interface AdapterSpec {
  readonly rank: number;
  readonly scale: number;
  readonly dropout: number;
}

export interface TraceOptions {
  /** Bounds of the run-time dimensions. */
  readonly dims: Readonly<Record<string, number>>;
  /** Storage of a parameter; default f32 and trainable. */
  readonly storage?: (name: string) => { readonly dtype: DType; readonly trainable: boolean };
  /** The adapter on a linear layer, by the layer's name. */
  readonly adapter?: (layer: string) => AdapterSpec | undefined;
}

/** A stretch of ops that becomes one function: a unit, or a named piece of trunk. */
export interface Region {
  readonly site: string;
  readonly unit: boolean;
  readonly from: number;
  readonly to: number;
}

export interface Trace {
  readonly b: FuncBuilder;
  readonly options: TraceOptions;
  readonly params: Map<string, ParamDecl>;
  readonly weights: Map<string, Value>;
  readonly scalars: Map<string, Value>;
  readonly regions: Region[];
  open: string | null;
  site: number;
}

let current: Trace | null = null;

/** The trace in progress. @throws EbbError outside of one. */
export function activeTrace(): Trace {
  if (!current) throw new EbbError('tensor operations record a model while it is traced; call them inside the build function of a model definition');
  return current;
}

/** Runs `build` with a fresh trace. */
export function withTrace<T>(options: TraceOptions, build: (trace: Trace) => T): { result: T; trace: Trace } {
  const outer = current;
  const trace: Trace = { b: funcBuilder(), options, params: new Map(), weights: new Map(), scalars: new Map(), regions: [], open: null, site: 0 };
  current = trace;
  try {
    return { result: build(trace), trace };
  } finally {
    current = outer;
  }
}

/** Records an op of the model at its caller's line. @throws OpError with that line in front. */
export function record(name: string, operands: readonly Value[], attrs: Attrs = {}, hints: readonly string[] = []): readonly Value[] {
  const { b } = activeTrace();
  const loc = callerLoc();
  b.at(loc);
  try {
    return b.ops(name, operands, attrs, hints);
  } catch (error) {
    if (error instanceof EbbError && loc) throw new EbbError(`${locText(loc)}: ${error.message}`);
    throw error;
  } finally {
    b.at(undefined);
  }
}

export function locText(loc: Loc): string {
  return `${loc.file}:${loc.line}:${loc.column}`;
}

export function recordOne(name: string, operands: readonly Value[], attrs: Attrs = {}, hint?: string): Value {
  const [value] = record(name, operands, attrs, hint === undefined ? [] : [hint]);
  if (!value) throw new EbbError(`${name} has no result`);
  return value;
}

/** A run-time scalar of the call, by name: `branch_weight`, `seed`, `position`. */
export function scalar(name: string, dtype: DType): Value {
  const { b, scalars } = activeTrace();
  const known = scalars.get(name);
  if (known) return known;
  const made = b.param(name, { dtype, shape: [] }, 'scalar');
  scalars.set(name, made);
  return made;
}

/** A tensor that lives between steps and is updated in place (a key-value cache). */
export function state(name: string, type: Type): Value {
  return activeTrace().b.param(name, type, 'state');
}

/** An input of the step. */
export function input(name: string, type: Type): Value {
  return activeTrace().b.param(name, type, 'input');
}

export interface ParamOptions {
  readonly init?: Initialiser;
  readonly table?: () => Float32Array;
}

const STANDARD_INIT: Initialiser = { kind: 'normal', std: 0.02 };

/**
 * Declares a parameter, or uses it again: the same name gives the same parameter (tied weights). The value read is f32; a frozen
 * parameter stored in another dtype is widened where it is used. @throws EbbError when the shape differs from the first declaration.
 */
export function param(name: string, shape: readonly number[], options: ParamOptions = {}): Value {
  const trace = activeTrace();
  const known = trace.params.get(name);
  if (known && known.shape.join() !== shape.join())
    throw new EbbError(`parameter ${name} is [${known.shape}] where it is first declared and [${shape}] here; give the second one another name`);
  const storage = options.table ? { dtype: 'f32' as const, trainable: false } : (trace.options.storage?.(name) ?? { dtype: 'f32' as const, trainable: true });
  let stored = trace.weights.get(name);
  if (!stored) {
    stored = trace.b.param(name, { dtype: storage.dtype, shape }, 'weight');
    trace.weights.set(name, stored);
    trace.params.set(name, { name, shape, ...storage, init: options.init ?? STANDARD_INIT, ...(options.table ? { table: options.table } : {}) });
  }
  return stored.type.dtype === 'f32' ? stored : recordOne('dequantise', [stored], {}, name.split('.').slice(-2, -1)[0] ?? 'w');
}

function region(site: string, unit: boolean, build: () => Value | readonly Value[]): void {
  const trace = activeTrace();
  if (trace.open !== null)
    throw new EbbError(`${unit ? 'unit' : 'section'} ${site} starts inside ${trace.open}; units and sections do not nest: end ${trace.open} first`);
  if (trace.regions.some((r) => r.site === site)) throw new EbbError(`${site} names two units or sections; give each its own name`);
  trace.open = site;
  trace.site = 0;
  const from = trace.b.added.length;
  try {
    build();
  } finally {
    trace.open = null;
  }
  trace.regions.push({ site, unit, from, to: trace.b.added.length });
}

/**
 * A unit of DropBP: `x + branch(x)`, whose branch may lose its backward in a step (DropBP, arXiv 2402.17812, §3.1).
 * @param site its name, e.g. `layers.3.attn`
 * @throws EbbError when units nest or a branch changes the shape of x
 */
export function unit(site: string, x: Value, branch: (x: Value) => Value): Value {
  let y = x;
  region(site, true, () => {
    y = recordOne('residual', [x, branch(x), scalar('branch_weight', 'f32')], {}, 'y');
    return y;
  });
  return y;
}

/** Names a piece of trunk (embedding, head), which becomes a function of its own. */
export function section<T extends Value | readonly Value[]>(site: string, build: () => T): T {
  let made: T | undefined;
  region(site, false, () => {
    made = build();
    return made;
  });
  return made as T;
}
