/** @file The trace in progress: model code calls plain functions, which record ops here. */

import { EbbError } from '../errors.ts';
import { funcBuilder } from '../ir/builder.ts';
import type { FuncBuilder } from '../ir/define.ts';
import { constantOf } from '../ir/ops/structural.ts';
import { type Attrs, type DType, type Loc, type Type, typeText, type Value } from '../ir/types.ts';
import type { Initialiser } from '../runtime/program.ts';
import { checkKnown, type KnownOptions, misuse, TraceError } from './error.ts';
import { callerLoc, callSite, locText } from './location.ts';
import { checkBranch } from './unitCheck.ts';

export type { Initialiser };

export interface ParamDecl {
  readonly name: string;
  readonly shape: readonly number[];
  /** The dtype on the device: f32 if trainable, the checkpoint's dtype if frozen. */
  readonly dtype: DType;
  readonly trainable: boolean;
  readonly init: Initialiser;
  /** Computes a fixed table (rotary cosines), which is no weight: it is never loaded, saved or trained. */
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
  /** How the parameter of a name is stored; by default as f32, and trainable. */
  readonly storage?: (name: string) => { readonly dtype: DType; readonly trainable: boolean };
  /** Most bytes of logits that a loss may keep as one tensor; default 64 MiB. */
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
  /** Whether its forward keeps nothing, and runs again before its backward. */
  readonly again: boolean;
  readonly from: number;
  readonly to: number;
}

/** Where a parameter was first declared, and in which `const`. */
interface Declared {
  readonly at: () => Loc | undefined;
  readonly label: string | undefined;
  /** Where the parameter was declared as `tied`, until something else declares it too; otherwise null. */
  lone: (() => Loc | undefined) | null;
}

/** A value that the model receives under a name, which nothing else may have. */
export interface ReceivedValue {
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
  /** What the model receives by name: inputs, parameters, states and run-time scalars. */
  readonly given: Map<Value, ReceivedValue>;
  /** Slices of parameters, which main makes and calls take. */
  readonly parts: Set<Value>;
  /** Names that the author of the model gave to values. */
  readonly names: Map<Value, string>;
  /** The `const`s whose right-hand sides are being evaluated, the innermost last. */
  readonly pending: string[];
  open: string | null;
  site: number;
  /** The composite op whose decomposition is being recorded, or null. A decomposition may use its operands only. */
  readonly decomposing: string | null;
}

// Model code calls plain functions, which are handed no trace, so the trace in progress is state of the module. `withTrace` sets and restores it.
let current: Trace | null = null;

/** The trace in progress. @throws EbbError if there is none */
export function activeTrace(): Trace {
  if (!current) throw new EbbError('tensor operations record a model while it is traced; call them inside the build function of a model definition');
  return current;
}

/** The trace in progress, or null. */
export function currentTrace(): Trace | null {
  return current;
}

/** Runs `build` in a fresh trace. `decomposing` names the op whose decomposition is recorded into `b`, if it is one. */
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

/**
 * Makes JavaScript's operators on a traced value an error: `t * 2`, `-t`, `t > 0` and `${t}` would be NaN, false and [object Object], in silence.
 * TypeScript refuses most of them, and a definition in JavaScript has no TypeScript.
 */
function withoutOperators(value: Value): Value {
  return Object.defineProperty(value, Symbol.toPrimitive, {
    value: (hint: string): never =>
      misuse(
        hint === 'string'
          ? `a traced tensor (${typeText(value.type)}) is used as text; it has no numbers yet, and its shape is x.type.shape`
          : `an operator of JavaScript is used on a traced tensor (${typeText(value.type)}), which has no numbers yet; use add(), sub(), mul(), div(), neg(), less(), equal() or select()`,
      ),
  });
}

/** Records an op at the model's line that called for it, and returns its results. @throws TraceError at that line if a constraint does not hold */
export function record(name: string, operands: readonly Value[], attrs: Attrs = {}, hints: readonly string[] = []): readonly Value[] {
  const { b, decomposing } = activeTrace();
  // Ops of a decomposition take the line where the composite is used.
  if (decomposing !== null) return b.ops(name, operands, attrs, hints);
  b.at(callerLoc());
  try {
    return b.ops(name, operands, attrs, hints).map(withoutOperators);
  } catch (error) {
    if (error instanceof EbbError && !(error instanceof TraceError)) misuse(error.message);
    throw error;
  } finally {
    b.at(undefined);
  }
}

/** @throws TraceError inside a decomposition, which may use its operands only */
function refuseInside(what: string): void {
  const { decomposing } = activeTrace();
  if (decomposing !== null) misuse(`${what} inside the decomposition of ${decomposing}; a decomposition may use its operands only: pass it as one of them`);
}

export function recordOne(name: string, operands: readonly Value[], attrs: Attrs = {}, hint?: string): Value {
  const [value] = record(name, operands, attrs, hint === undefined ? [] : [hint]);
  if (!value) throw new EbbError(`${name} has no result`);
  return value;
}

const ROLES = { input: 'input', parameter: 'weight', state: 'state', 'run-time scalar': 'scalar' } as const;

/** Adds a named parameter to the function. @throws TraceError if the IR's text cannot hold the name, or something else has it */
function give(kind: ReceivedValue['kind'], name: string, type: Type): Value {
  const { b, given } = activeTrace();
  if (!/^[A-Za-z0-9_.]+$/.test(name)) misuse(`${kind} ${JSON.stringify(name)}: expected a name of letters, digits, _ and dots, as in layers.3.attn.q.weight`);
  const other = [...given.values()].find((g) => g.name === name);
  if (other) misuse(`${kind} ${name}: the model has a${other.kind === 'input' ? 'n' : ''} ${other.kind} of this name; give one of them another name`);
  const made = withoutOperators(b.param(name, type, ROLES[kind]));
  given.set(made, { name, kind });
  return made;
}

/** The run-time scalar of the call that has this name, declared at its first use: `branch_weight`, `branch_scale`, `seed`, `position`. */
export function scalar(name: string, dtype: DType): Value {
  refuseInside(`scalar ${name} is asked for`);
  const { scalars } = activeTrace();
  const known = scalars.get(name);
  if (known) return known;
  const made = give('run-time scalar', name, { dtype, shape: [] });
  scalars.set(name, made);
  return made;
}

/** Declares a tensor that lives between steps and is updated in place (a key-value cache). */
export function state(name: string, type: Type): Value {
  return give('state', name, type);
}

/** Declares an input of the step, as tokens are. @throws TraceError if something else has its name */
export function input(name: string, type: Type): Value {
  return give('input', name, type);
}

/** How a parameter is initialised, and whether it is a fixed table or used in several places. */
export interface ParamOptions {
  /** Default: normal with standard deviation 0.02. */
  readonly init?: Initialiser;
  /** Computes a fixed table, which is not trained. Every use of it may declare it. */
  readonly table?: () => Float32Array;
  /** Whether an earlier declaration may be of the same parameter (an embedding that is also the head). All declarations but the first must set it. */
  readonly tied?: boolean;
  /** Says that the parameter is the weight of a linear layer, which a low-rank adapter may go onto, and how it is stored. */
  readonly linear?: LinearLayout;
}

const PARAM_OPTIONS: KnownOptions<ParamOptions> = { init: true, table: true, tied: true, linear: true };

const STANDARD_INIT: Initialiser = { kind: 'normal', std: 0.02 };

/** Where a parameter was declared, as far as it is known: `const table at model.ts:3:9`. */
function declaredText({ at, label }: Pick<Declared, 'at' | 'label'>): string {
  const loc = at();
  return `${label === undefined ? '' : `const ${label}`}${label !== undefined && loc ? ' ' : ''}${loc ? `at ${locText(loc)}` : ''}` || 'elsewhere';
}

/** Records a declaration. @throws TraceError if the name has another shape already, or is declared again without `tied` */
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
  if (table || tied) return;
  const [before, now] = [declaredText(first), declaredText(here)];
  const otherName =
    before === now ? 'otherwise put what differs in the name, such as the counter of a loop: layers.0.fc, layers.1.fc' : 'otherwise give it another name';
  misuse(`parameter ${name} is declared twice: first ${before}, again ${now}; if both are one weight, pass { tied: true } to the second; ${otherName}`);
}

/** @throws TraceError if a parameter is declared as tied, and nothing else declares it */
export function checkTied({ declared }: Trace): void {
  for (const [name, { lone }] of declared)
    if (lone)
      misuse(
        `parameter ${name} is tied, but nothing else declares it; the others are ${[...declared.keys()].filter((n) => n !== name).join(', ') || 'none'}`,
        lone(),
      );
}

/**
 * Declares a parameter of `shape` and returns its value as f32; a frozen parameter stored in another dtype is widened where it is used. A name
 * that is declared again with `tied: true` stands for the same parameter.
 * @throws TraceError if a size is not a whole number of 1 or more, a name is declared twice without `tied`, or its shapes differ
 */
export function param(name: string, shape: readonly number[], options: ParamOptions = {}): Value {
  return widened(storedParam(name, shape, options), name);
}

/** The value of a stored parameter as f32. */
export function widened(stored: Value, name: string): Value {
  return stored.type.dtype === 'f32' ? stored : recordOne('dequantise', [stored], {}, name.split('.').slice(-2, -1)[0] ?? 'w');
}

/** Declares a parameter as `param` does, and returns its value in the dtype in which it is stored. */
export function storedParam(name: string, shape: readonly number[], options: ParamOptions = {}): Value {
  refuseInside(`parameter ${name} is declared`);
  checkKnown(`param ${name}`, options, PARAM_OPTIONS);
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
  // A site must be readable between the commas and brackets around it.
  if (!/^[\w.-]+$/.test(site)) misuse(`${kind} ${JSON.stringify(site)}: expected a name of letters, digits, _, - and dots, as in layers.3.attn`);
  if (trace.open !== null) misuse(`${kind} ${site} starts inside ${trace.open}; units and sections do not nest: end ${trace.open} first`);
  if (trace.regions.some((r) => r.site === site))
    misuse(`${site} names two units or sections; give each its own name: in a loop, put its counter in the name, such as layers.0, layers.1`);
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

/** Copies x if it is a parameter or a constant: a unit passes its sum's cotangent on to the call that made its input, so there must be such a call. */
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
 * @throws TraceError if units nest, two have one name, or a branch changes the shape of x, adds x itself, or does not depend on it
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
 * Records a named piece of trunk (embedding, head), which becomes a function of its own, and returns what `build` returns. With `again` its
 * forward keeps nothing, and runs again before its backward.
 * @throws TraceError if sections or units nest, or two have one name
 */
export function section<T extends Value | readonly Value[]>(site: string, build: () => T, { again = false } = {}): T {
  let made: T | undefined;
  region({ site, unit: false, again }, () => {
    made = build();
    return made;
  });
  return made as T;
}
