/** @file Traces a model definition into a module: `@main` calls functions outlined by structure, one for all equal layers. */

import { EbbError } from '../errors.ts';
import { type NameScope, nameScope } from '../ir/builder.ts';
import type { FuncBuilder } from '../ir/define.ts';
import { isCall } from '../ir/ops/control.ts';
import { constantOf } from '../ir/ops/structural.ts';
import type { Func, Module, Op, Param, Result, Role, Type, Value } from '../ir/types.ts';
import { checkTied, input, type ParamDecl, type Region, type Trace, type TraceOptions, withTrace } from './context.ts';
import { misuse } from './error.ts';
import { liftedValues, type MergedFunctions, mergedFunctions } from './lift.ts';

export type InputTypes = Readonly<Record<string, Type>>;

/** A model: its inputs, and `build`, which computes its results from them. For training, the first result must be the loss, f32[]. */
export interface ModelDefinition<Inputs extends InputTypes = InputTypes> {
  readonly inputs: Inputs;
  /** Default bounds of the run-time dimensions, e.g. `{ B: 8, T: 64 }`. */
  readonly dims?: Readonly<Record<string, number>>;
  build(inputs: { readonly [K in keyof Inputs]: Value }): Value | readonly Value[];
}

/**
 * Types a model definition, so that `build` sees its inputs by name, and returns it. A model file exports the result.
 * @example export const model = defineModel({ inputs: { x: { dtype: 'f32', shape: ['B', 8] } }, build: ({ x }) => mean(mul(x, x)) });
 */
export function defineModel<const Inputs extends InputTypes>(definition: ModelDefinition<Inputs>): ModelDefinition<Inputs> {
  return definition;
}

/** A traced model: its module, its parameters, and the units that may lose their backward. */
export interface TracedModel {
  /** Functions, `main` last. Main consists of calls, and of the slices of weights that they take. */
  readonly module: Module;
  readonly params: readonly ParamDecl[];
  /** Names of the units, in the order they run. */
  readonly units: readonly string[];
}

interface Segment {
  readonly site: string;
  readonly unit: boolean;
  readonly again: boolean;
  readonly ops: readonly Op[];
}

/** Regions and the trunk between them, in order; a stretch of trunk without a name is called `trunk.<n>`, as no region of the model is. */
function segmentsOf(ops: readonly Op[], regions: readonly Region[]): Segment[] {
  const segments: Segment[] = [];
  const taken = new Set(regions.map((r) => r.site));
  let at = 0;
  let unnamed = 0;
  const trunk = (to: number): void => {
    while (taken.has(`trunk.${unnamed}`)) unnamed++;
    if (to > at) segments.push({ site: `trunk.${unnamed++}`, unit: false, again: false, ops: ops.slice(at, to) });
  };
  for (const region of regions) {
    trunk(region.from);
    segments.push({ ...region, ops: ops.slice(region.from, region.to) });
    at = region.to;
  }
  trunk(ops.length);
  return segments;
}

interface Outlined {
  readonly func: Func;
  readonly args: readonly Value[];
  readonly results: readonly Value[];
}

/** Names of scalars that passes add to functions: constants that differ between calls (./lift.ts), and the seed (passes/seed.ts). */
const RESERVED = /^(lifted\d+|loss_scale)$/;

const ARGUMENT_ORDER: readonly Role[] = ['value', 'input', 'weight', 'state', 'scalar'];

/** The ops of a segment, behind the constants that it reads. Wherever a constant was made first, equal segments thus have equal ops. */
function withConstants(segment: Segment, constants: ReadonlyMap<Value, Op>): readonly Op[] {
  const read = new Set(segment.ops.flatMap((op) => op.operands).filter((v) => constants.has(v)));
  return [...[...read].flatMap((v) => constants.get(v) ?? []), ...segment.ops.filter((op) => constantOf(op) === null)];
}

function outlineSegment(
  segment: Segment,
  ops: readonly Op[],
  roles: ReadonlyMap<Value, Role>,
  { names, given }: Pick<Trace, 'names' | 'given'>,
  usedLater: (v: Value) => boolean,
): Outlined {
  const own = new Set(ops.flatMap((op) => op.results));
  const reads = [...new Set(ops.flatMap((op) => op.operands))].filter((v) => !own.has(v));
  const args = ARGUMENT_ORDER.flatMap((role) => reads.filter((v) => (roles.get(v) ?? 'value') === role));
  const results = segment.ops.flatMap((op) => op.results).filter(usedLater);
  const scope = nameScope();
  const renamed = new Map<Value, Value>();
  const rename = (v: Value, hint: string): Value => {
    const copy: Value = { ...v, name: scope.unique(RESERVED.test(hint) ? `${hint}_` : hint) };
    renamed.set(v, copy);
    return copy;
  };
  const nameOf = (v: Value): string => given.get(v)?.name ?? v.name;
  const isScalar = (v: Value): boolean => roles.get(v) === 'scalar';
  // A step sets scalars by name, so they get their names first.
  for (const v of args.filter(isScalar)) rename(v, nameOf(v));
  const params: Param[] = args.map((v) => {
    const role = roles.get(v) ?? 'value';
    const hint = role === 'weight' || role === 'state' ? weightHint(nameOf(v)) : role === 'value' ? 'x' : nameOf(v);
    return { value: isScalar(v) ? (renamed.get(v) ?? v) : rename(v, hint), role };
  });
  const body = ops.map(
    (op): Op => ({
      ...op,
      operands: op.operands.map((v) => renamed.get(v) ?? v),
      results: op.results.map((v) => rename(v, names.get(v) ?? v.name.replace(/_\d+$/, ''))),
    }),
  );
  const returned: Result[] = results.map((v) => ({ value: renamed.get(v) ?? v, role: 'value' }));
  return { func: { name: segment.site, params, ops: body, results: returned }, args, results };
}

/** `model.layers.3.self_attn.q_proj.weight` → `q_proj`. */
function weightHint(name: string): string {
  const parts = name.split('.').filter((p) => p !== 'weight' && !/^\d+$/.test(p));
  const last = parts.at(-1) ?? 'w';
  return last === 'lora_A' || last === 'lora_B' ? `${parts.at(-2) ?? 'w'}.${last}` : last;
}

/** What calls the functions of a module; a unit or section that would be called so gets a number. */
const MAIN = 'main';

/** `layers.3.attn` → `attn`, `layers.3` → `layers`. */
function functionName(site: string, scope: NameScope): string {
  const words = site.split('.').filter((part) => !/^\d+$/.test(part));
  return scope.unique(words.at(-1) ?? 'func');
}

/**
 * Names the results of calls by their site: `%layers.3.attn`, or `%head.logits` if a call has several. What main receives keeps the name by
 * which it was declared, whatever the ops before it were called.
 */
function bySite({ ops, params, results, ...main }: Func, { names, given }: Pick<Trace, 'names' | 'given'>): Func {
  const scope = nameScope();
  const renamed = new Map(params.map(({ value }) => [value, { ...value, name: scope.unique(given.get(value)?.name ?? value.name) }]));
  const now = (v: Value): Value => renamed.get(v) ?? v;
  const calls = ops.map((op): Op => {
    if (!isCall(op)) {
      const results = op.results.map((v): Value => ({ ...v, name: scope.unique(v.name) }));
      op.results.forEach((v, i) => renamed.set(v, results[i] ?? v));
      return { ...op, operands: op.operands.map(now), results };
    }
    const site = String(op.attrs['site']);
    const named = op.results.map((v): Value => {
      const copy = { ...v, name: scope.unique(op.results.length > 1 ? `${site}.${names.get(v) ?? v.name}` : site) };
      renamed.set(v, copy);
      return copy;
    });
    return { ...op, operands: op.operands.map(now), results: named };
  });
  return { ...main, params: params.map((p) => ({ ...p, value: now(p.value) })), ops: calls, results: results.map((r) => ({ ...r, value: now(r.value) })) };
}

/** Names of the update functions' dimensions, which follow the model's in the uniform block. */
const TAKEN: readonly string[] = ['N', 'Q', 'G'];
const DIM_NAME = /^[A-Za-z]\w*$/;
/** Words of the uniform block that are left for the model's dimensions. */
const MOST_DIMS = 4;

/** Bounds of the run-time dimensions. @throws EbbError if an input's dimension has none, a name is taken, or there are too many */
function boundDims({ inputs, dims: defaults = {} }: ModelDefinition, given: TraceOptions['dims']): Readonly<Record<string, number>> {
  const dims = { ...defaults, ...given };
  for (const [name, { shape }] of Object.entries(inputs))
    for (const dim of shape)
      if (typeof dim === 'string' && !Object.hasOwn(dims, dim))
        throw new EbbError(`input ${name} is [${shape.join(', ')}], and nothing says how large ${dim} may be; bound it in the model's dims: { ${dim}: 16 }`);
  const names = Object.keys(dims);
  const odd = names.find((name) => !DIM_NAME.test(name) || name in {});
  if (odd !== undefined)
    throw new EbbError(`dimension ${JSON.stringify(odd)}: expected a name of letters, digits and _ that begins with a letter, as in B; give it another name`);
  const taken = names.find((name) => TAKEN.includes(name));
  if (taken !== undefined) throw new EbbError(`dimension ${taken}: ${TAKEN.join(', ')} are dimensions of the optimizer; give it another name`);
  if (names.length > MOST_DIMS)
    throw new EbbError(`the model has ${names.length} run-time dimensions (${names.join(', ')}), at most ${MOST_DIMS} fit; write the others as numbers`);
  return dims;
}

/**
 * Makes values that main can return: a call must make each, in bytes of its own. It copies what the model receives, constants, tensors that are
 * returned twice, and a loss that a unit makes (whose backward may be left out).
 */
function returnable({ b, given, regions }: Trace, built: readonly Value[]): readonly Value[] {
  const maker = new Map(b.added.flatMap((op, at) => op.results.map((r) => [r, at] as const)));
  const inUnit = (v: Value): boolean => regions.some((r) => r.unit && r.from <= (maker.get(v) ?? -1) && (maker.get(v) ?? -1) < r.to);
  return built.map((v, i) => {
    const isConstant = constantOf(b.added[maker.get(v) ?? -1]) !== null;
    return given.has(v) || isConstant || built.indexOf(v) < i || (i === 0 && inUnit(v)) ? b.op('copy', [v], {}, v.name) : v;
  });
}

/** @throws TraceError at the line of a unit whose sum nothing reads */
function checkUnitsAreRead(segments: readonly Segment[], isRead: (v: Value, segment: number) => boolean): void {
  segments.forEach(({ site, unit, ops }, i) => {
    const sum = unit ? ops.at(-1)?.results[0] : undefined;
    if (sum && !isRead(sum, i)) misuse(`unit ${site}: nothing reads what it returns, x + branch(x); go on with it, as in x = unit('${site}', x, …)`, sum.loc);
  });
}

/** The tensors that `build` returned. @throws EbbError if one is no tensor of this trace */
function builtTensors({ b, given }: Trace, built: unknown): readonly Value[] {
  const values: readonly unknown[] = Array.isArray(built) ? built : [built];
  const made = new Set<unknown>([...given.keys(), ...b.added.flatMap((op) => op.results)]);
  const other = values.find((value) => !made.has(value));
  if (values.length > 0 && other === undefined && !values.includes(undefined)) return values as readonly Value[];
  const [found, hint] =
    values.length === 0
      ? ['an empty list', 'return the loss']
      : other === undefined
        ? ['undefined', 'is a return missing?']
        : typeof other === 'object' && other !== null && 'then' in other
          ? ['a promise', 'build may not be async']
          : [typeof other === 'object' ? 'an object that is no tensor of this model' : `${typeof other} ${String(other)}`, 'return the loss'];
  throw new EbbError(`build returns ${found}, expected a tensor it computed from its inputs, or a list of tensors; ${hint}`);
}

/**
 * Traces a model definition into a module. `options.dims` replaces the definition's own bounds of run-time dimensions.
 * @throws TraceError for misuse, naming the line of the definition; EbbError if a bound is missing, or `build` returns no tensor
 */
export function traceModel(definition: ModelDefinition, { dims: given, ...rest }: TraceOptions): TracedModel {
  const options: TraceOptions = { ...rest, dims: boundDims(definition, given) };
  const { result, trace } = withTrace(options, (open) => {
    const inputs = Object.fromEntries(Object.entries(definition.inputs).map(([name, type]) => [name, input(name, type)]));
    const built = definition.build(inputs);
    checkTied(open);
    return returnable(open, builtTensors(open, built));
  });
  const main = finishMain(trace.b, result);
  const roles = new Map<Value, Role>(main.params.map((p) => [p.value, p.role]));
  const constants = new Map(main.ops.filter((op) => constantOf(op) !== null).flatMap((op) => op.results.map((r): [Value, Op] => [r, op])));
  const isPart = (op: Op): boolean => op.results.some((v) => trace.parts.has(v));
  const parts = main.ops.filter(isPart);
  for (const op of parts) for (const v of op.results) roles.set(v, 'weight');
  const segments = segmentsOf(main.ops, trace.regions)
    .map((s) => ({ ...s, ops: s.ops.filter((op) => !isPart(op)) }))
    .filter((s) => s.ops.some((op) => constantOf(op) === null));
  const prepared = segments.map((segment) => ({ segment, ops: withConstants(segment, constants) }));
  const returned = new Set(result);
  const lastRead = new Map<Value, number>();
  prepared.forEach(({ ops }, i) => {
    for (const op of ops) for (const v of op.operands) lastRead.set(v, i);
  });
  const usedAfter = (v: Value, i: number): boolean => ((lastRead.get(v) ?? -1) > i && !constants.has(v)) || returned.has(v);
  checkUnitsAreRead(segments, usedAfter);
  const outlined = prepared.map(({ segment, ops }, i) => outlineSegment(segment, ops, roles, trace, (v) => usedAfter(v, i)));
  const funcs = new Map<MergedFunctions, Func>();
  const scope = nameScope();
  scope.unique(MAIN);
  const calls = mergedFunctions(outlined.map((o) => o.func)).map((merged, i): Op => {
    const { segment } = prepared[i] as (typeof prepared)[number];
    const { func: own, args, results } = outlined[i] as Outlined;
    const values = liftedValues(own, merged);
    let func = funcs.get(merged);
    if (!func) {
      func = { ...merged.func, name: functionName(segment.site, scope) };
      funcs.set(merged, func);
    }
    const attrs = {
      callee: func.name,
      site: segment.site,
      ...(segment.unit ? { unit: true } : {}),
      ...(segment.again ? { again: true } : {}),
      ...(values.length > 0 ? { lifted: values } : {}),
    };
    return { name: 'call', operands: args, attrs, results };
  });
  const ops = [...parts, ...calls];
  const read = new Set(ops.flatMap((op) => op.operands));
  const params = main.params.filter((p) => p.role === 'input' || read.has(p.value));
  const module: Module = {
    dims: options.dims,
    funcs: [...funcs.values(), bySite({ name: MAIN, params, ops, results: main.results }, trace)],
  };
  return { module, params: [...trace.params.values()], units: trace.regions.filter((r) => r.unit).map((r) => r.site) };
}

function finishMain(b: FuncBuilder, results: readonly Value[]): Func {
  const func = b.finish(
    MAIN,
    results.map((value) => ({ value, role: 'value' })),
  );
  if (func.ops.length === 0) throw new EbbError('the model records no operation; build must return a value computed from its inputs');
  return func;
}
