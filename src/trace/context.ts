/** @file The trace in progress: model code calls plain functions, which record ops here. */

import { EbbError } from '../errors.ts';
import { funcBuilder } from '../ir/builder.ts';
import type { FuncBuilder } from '../ir/define.ts';
import { constantOf } from '../ir/ops/structural.ts';
import type { Attrs, DType, Loc, Type, Value } from '../ir/types.ts';
import type { Initialiser } from '../runtime/program.ts';
import { misuse, TraceError } from './error.ts';
import { callerLoc, callSite, locText } from './location.ts';
import { checkBranch } from './unitCheck.ts';

export type { Initialiser };

export interface ParamDecl {
  readonly name: string;
  readonly shape: readonly number[];
  /** As it lies on the device: f32 when trainable, the checkpoint's dtype when frozen. */
  readonly dtype: DType;
  readonly trainable: boolean;
  readonly init: Initialiser;
  /** A fixed table (rotary cosines) rather than a weight: computed, never loaded, saved or trained. */
  readonly table?: () => Float32Array;
  /** Of a linear layer's weight: how it is stored. */
  readonly linear?: LinearLayout;
}

/** How the weight of a linear layer is stored: `out,in` as torch's Linear has it, or `in,out` as transformers' Conv1D does. */
export type LinearLayout = 'out,in' | 'in,out';

/** A low-rank adapter on a linear layer: y += (scale · dropout(x) Aᵀ) Bᵀ (Hu et al. 2021). */
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
  /** Bytes of logits that a loss may keep whole; default 64 MiB. */
  readonly logitsKept?: number;
  /** The adapter on a linear layer, by the layer's name. */
  readonly adapter?: (layer: string) => AdapterSpec | undefined;
  /** Whether units' branches are multiplied by a run-time scalar `branch_scale`. */
  readonly scaledBranches?: boolean;
}

/** A stretch of ops that becomes one function: a unit, or a named piece of trunk. */
export interface Region {
  readonly site: string;
  readonly unit: boolean;
  /** Nothing of its forward is kept: it runs again before its backward. */
  readonly again: boolean;
  readonly from: number;
  readonly to: number;
}

/** Where a parameter was first declared, and by which `const`. */
interface Declared {
  readonly at: () => Loc | undefined;
  readonly label: string | undefined;
  /** Where `tied` was asked for, as long as nothing else declared the parameter. */
  lone: (() => Loc | undefined) | null;
}

/** A value that is handed in under a name, which nothing else may have. */
export interface Given {
  readonly name: string;
  readonly kind: 'input' | 'parameter' | 'state' | 'run-time scalar';
}

export interface Trace {
  readonly b: FuncBuilder;
  readonly options: TraceOptions;
  readonly params: Map<string, ParamDecl>;
  readonly weights: Map<string, Value>;
  readonly scalars: Map<string, Value>;
  readonly regions: Region[];
  readonly declared: Map<string, Declared>;
  /** What the model is handed by name: inputs, parameters, states and run-time scalars. */
  readonly given: Map<Value, Given>;
  /** Slices of parameters, which main hands to calls. */
  readonly parts: Set<Value>;
  /** Names that the person gave to values. */
  readonly names: Map<Value, string>;
  /** The `const`s whose right-hand side is running, innermost last. */
  readonly pending: string[];
  open: string | null;
  site: number;
  /** The composite op whose decomposition is running: it has operands and nothing else. */
  readonly decomposing: string | null;
}

let current: Trace | null = null;

/** The trace in progress. @throws EbbError outside of one. */
export function activeTrace(): Trace {
  if (!current) throw new EbbError('tensor operations record a model while it is traced; call them inside the build function of a model definition');
  return current;
}

/** The trace in progress, if any. */
export function currentTrace(): Trace | null {
  return current;
}

/** Runs `build` with a fresh trace; `decomposing` names the op whose decomposition is recorded into `b`. */
export function withTrace<T>(
  options: TraceOptions,
  build: (trace: Trace) => T,
  b: FuncBuilder = funcBuilder(),
  decomposing: string | null = null,
): { result: T; trace: Trace } {
  const outer = current;
  const trace: Trace = {
    b,
    options,
    params: new Map(),
    weights: new Map(),
    scalars: new Map(),
    regions: [],
    declared: new Map(),
    given: new Map(),
    parts: new Set(),
    names: new Map(),
    pending: [],
    open: null,
    site: 0,
    decomposing,
  };
  current = trace;
  try {
    return { result: build(trace), trace };
  } finally {
    current = outer;
  }
}

/** Records an op of the model at its caller's line. @throws TraceError with that line in front. */
export function record(name: string, operands: readonly Value[], attrs: Attrs = {}, hints: readonly string[] = []): readonly Value[] {
  const { b, decomposing } = activeTrace();
  // the ops of a decomposition lie where the composite is used
  if (decomposing !== null) return b.ops(name, operands, attrs, hints);
  b.at(callerLoc());
  try {
    return b.ops(name, operands, attrs, hints);
  } catch (error) {
    if (error instanceof EbbError && !(error instanceof TraceError)) misuse(error.message);
    throw error;
  } finally {
    b.at(undefined);
  }
}

/** A decomposition is a function of its operands. @throws TraceError inside of one */
function refuseInside(what: string): void {
  const { decomposing } = activeTrace();
  if (decomposing !== null) misuse(`${what} inside the decomposition of ${decomposing}; a decomposition has its operands only: pass it as one of them`);
}

export function recordOne(name: string, operands: readonly Value[], attrs: Attrs = {}, hint?: string): Value {
  const [value] = record(name, operands, attrs, hint === undefined ? [] : [hint]);
  if (!value) throw new EbbError(`${name} has no result`);
  return value;
}

const ROLES = { input: 'input', parameter: 'weight', state: 'state', 'run-time scalar': 'scalar' } as const;

/** @throws TraceError for a name that text of the IR cannot hold, or that something else has */
function give(kind: Given['kind'], name: string, type: Type): Value {
  const { b, given } = activeTrace();
  if (!/^[A-Za-z0-9_.]+$/.test(name)) misuse(`${kind} ${JSON.stringify(name)}: expected a name of letters, digits, _ and dots, as in layers.3.attn.q.weight`);
  const other = [...given.values()].find((g) => g.name === name);
  if (other) misuse(`${kind} ${name}: the model has a${other.kind === 'input' ? 'n' : ''} ${other.kind} of this name; give one of them another`);
  const made = b.param(name, type, ROLES[kind]);
  given.set(made, { name, kind });
  return made;
}

/** A run-time scalar of the call, by name: `branch_weight`, `branch_scale`, `seed`, `position`. */
export function scalar(name: string, dtype: DType): Value {
  refuseInside(`scalar ${name} is asked for`);
  const { scalars } = activeTrace();
  const known = scalars.get(name);
  if (known) return known;
  const made = give('run-time scalar', name, { dtype, shape: [] });
  scalars.set(name, made);
  return made;
}

/** A tensor that lives between steps and is updated in place (a key-value cache). */
export function state(name: string, type: Type): Value {
  return give('state', name, type);
}

/** An input of the step. */
export function input(name: string, type: Type): Value {
  return give('input', name, type);
}

/** How a parameter starts, and what it is besides a trained one. Default start: normal, standard deviation 0.02. */
export interface ParamOptions {
  readonly init?: Initialiser;
  /** A table is computed, not trained; every use may declare it. */
  readonly table?: () => Float32Array;
  /** One parameter used in several places (an embedding that is the head too): every declaration but the first has to say so. */
  readonly tied?: boolean;
  /** Says that the parameter is the weight of a linear layer, which a low-rank adapter may go onto, and how it is stored. */
  readonly linear?: LinearLayout;
}

const STANDARD_INIT: Initialiser = { kind: 'normal', std: 0.02 };

/** `(the const table at model.ts:3:9)`, as far as it is known. */
function declaredText({ at, label }: Pick<Declared, 'at' | 'label'>): string {
  const loc = at();
  return `${label === undefined ? '' : `const ${label}`}${label !== undefined && loc ? ' ' : ''}${loc ? `at ${locText(loc)}` : ''}` || 'elsewhere';
}

/** Notes a declaration. @throws TraceError when one name is two parameters */
function declare(trace: Trace, name: string, shape: readonly number[], { table, tied = false }: ParamOptions): void {
  const here: Declared = { at: callSite(), label: trace.pending.at(-1), lone: null };
  const first = trace.declared.get(name);
  const known = trace.params.get(name);
  if (!first || !known) {
    trace.declared.set(name, { ...here, lone: tied ? here.at : null });
    return;
  }
  first.lone = null;
  if (known.shape.join() !== shape.join())
    misuse(`parameter ${name} is [${known.shape}] where it is first declared (${declaredText(first)}) and [${shape}] here; give the second one another name`);
  if (!table && !tied)
    misuse(
      `parameter ${name} is declared twice: first ${declaredText(first)}, again ${declaredText(here)}; if both are one weight, pass { tied: true } to the second, otherwise give it another name`,
    );
}

/** @throws TraceError for a parameter said to be tied that nothing else declares */
export function checkTied({ declared }: Trace): void {
  for (const [name, { lone }] of declared)
    if (lone)
      misuse(
        `parameter ${name} is tied, but nothing else declares it; the others are ${[...declared.keys()].filter((n) => n !== name).join(', ') || 'none'}`,
        lone(),
      );
}

/**
 * Declares a parameter of `shape`. A name is declared once, or again with `tied: true`, which gives the same parameter. The value read
 * is f32; a frozen parameter stored in another dtype is widened where it is used.
 * @throws TraceError when a name is declared twice without `tied`, or its shapes differ
 */
export function param(name: string, shape: readonly number[], options: ParamOptions = {}): Value {
  return widened(storedParam(name, shape, options), name);
}

/** A parameter's value as it is read: f32. */
export function widened(stored: Value, name: string): Value {
  return stored.type.dtype === 'f32' ? stored : recordOne('dequantise', [stored], {}, name.split('.').slice(-2, -1)[0] ?? 'w');
}

/** Declares a parameter, see `param`; its value in the dtype it is stored in. */
export function storedParam(name: string, shape: readonly number[], options: ParamOptions = {}): Value {
  refuseInside(`parameter ${name} is declared`);
  const trace = activeTrace();
  const wrong = shape.find((size) => !Number.isInteger(size) || size < 1);
  if (wrong !== undefined) misuse(`parameter ${name} has shape [${shape.join(', ')}]: ${wrong} is no size, expected whole numbers, 1 or more`);
  declare(trace, name, shape, options);
  const storage = options.table ? { dtype: 'f32' as const, trainable: false } : (trace.options.storage?.(name) ?? { dtype: 'f32' as const, trainable: true });
  let stored = trace.weights.get(name);
  if (!stored) {
    stored = give('parameter', name, { dtype: storage.dtype, shape });
    trace.weights.set(name, stored);
    const { init = STANDARD_INIT, table, linear } = options;
    trace.params.set(name, { name, shape, ...storage, init, ...(table ? { table } : {}), ...(linear ? { linear } : {}) });
  }
  return stored;
}

function region({ site, unit, again }: Omit<Region, 'from' | 'to'>, build: () => Value | readonly Value[]): void {
  const trace = activeTrace();
  const kind = unit ? 'unit' : 'section';
  refuseInside(`${kind} ${site} starts`);
  // sites are written between commas and brackets
  if (!/^[\w.-]+$/.test(site)) misuse(`${kind} ${JSON.stringify(site)}: expected a name of letters, digits, _, - and dots, as in layers.3.attn`);
  if (trace.open !== null) misuse(`${kind} ${site} starts inside ${trace.open}; units and sections do not nest: end ${trace.open} first`);
  if (trace.regions.some((r) => r.site === site)) misuse(`${site} names two units or sections; give each its own name`);
  trace.open = site;
  trace.site = 0;
  const from = trace.b.added.length;
  try {
    build();
  } finally {
    trace.open = null;
  }
  trace.regions.push({ site, unit, again, from, to: trace.b.added.length });
}

/** A unit hands the cotangent of its sum on to whoever made its input, so that is a tensor of the trunk: parameters and constants are copied. */
function passable(x: Value): Value {
  const { b, given } = activeTrace();
  const kind = given.get(x)?.kind;
  const isConstant = b.added.some((op) => constantOf(op) !== null && op.results.includes(x));
  return isConstant || (kind !== undefined && kind !== 'input') ? recordOne('copy', [x], {}, 'x') : x;
}

/**
 * A unit of DropBP: `x + branch(x)`, whose branch may lose its backward in a step (DropBP, arXiv 2402.17812, §3.1).
 * @param site its name, e.g. `layers.3.attn`
 * @param stream x, any f32 tensor
 * @throws TraceError when units nest, or a branch changes the shape of x, adds x itself, or does not depend on it
 */
export function unit(site: string, stream: Value, branch: (x: Value) => Value): Value {
  const x = passable(stream);
  let y = x;
  region({ site, unit: true, again: false }, () => {
    const { b, options } = activeTrace();
    const from = b.added.length;
    const out = branch(x);
    checkBranch(site, x, out, b.added.slice(from));
    y = recordOne('residual', [x, out, scalar('branch_weight', 'f32'), ...(options.scaledBranches ? [scalar('branch_scale', 'f32')] : [])], {}, 'y');
    return y;
  });
  return y;
}

/**
 * Names a piece of trunk (embedding, head), which becomes a function of its own. `again`: nothing of its forward is kept, it runs
 * again before its backward.
 */
export function section<T extends Value | readonly Value[]>(site: string, build: () => T, { again = false } = {}): T {
  let made: T | undefined;
  region({ site, unit: false, again }, () => {
    made = build();
    return made;
  });
  return made as T;
}
