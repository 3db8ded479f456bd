/** @file model → Program: the one place that joins tracing and passes with the runtime's plain data. */

import { callsOf, mainOf, weightRows } from '../ir/module.ts';
import { byteSize, type Func, liftedOf, type Module, type Op, type Result, type Value } from '../ir/types.ts';
import { type Backward, type BackwardKey, backwardKeyText, type Forms, formsOf } from '../passes/dropbp.ts';
import { type OnPass, runPasses } from '../passes/pass.ts';
import { FORWARD } from '../passes/pipeline.ts';
import { isSoftware } from '../runtime/adapterKind.ts';
import { type ArgumentDecl, type BackwardDecl, type CallDecl, type FunctionDecl, type ParamInfo, PROGRAM_VERSION, type Program } from '../runtime/program.ts';
import type { TracedModel } from '../trace/trace.ts';
import { compileFunction, extentOf, type FunctionOptions, type PipelineTable, partBytesOf, pipelineTable, type Target } from './functions.ts';
import { backwardKeys, type CallKeys, residualParam } from './keys.ts';
import { accumulate, adamw, assign, clip, sgd, sqnorm, subtract } from './updates.ts';

/** Every stage of a compilation, for inspection. */
export interface Compiled {
  readonly program: Program;
  readonly stages: {
    readonly trace: Module;
    /** Forward and backward functions: primitives, saves found. */
    readonly dropbp: Module;
    readonly fuse: Module;
  };
}

/** What a model is compiled for, and who watches. */
export interface CompileOptions {
  readonly target: Target;
  /** Optimizers to make update functions for; default both. */
  readonly optimizers?: readonly ('adamw' | 'sgd')[];
  /** Called after each pass, with what it made of one function. */
  readonly onPass?: OnPass;
  /** Called with each kernel before it is printed as WGSL. */
  readonly onKernel?: FunctionOptions['onKernel'];
}

interface FunctionTable {
  readonly decls: FunctionDecl[];
  readonly plain: Func[];
  readonly fused: Func[];
}

/** The seed of differentiation is a run-time scalar: 1 / number of micro-batches. */
function lossScale(func: Func): Func {
  const seed = func.params.find((p) => p.role === 'cotangent' && p.value.type.shape.length === 0);
  if (!seed) return func;
  const renamed: Value = { ...seed.value, name: 'loss_scale' };
  const swap = (v: Value): Value => (v === seed.value ? renamed : v);
  return {
    ...func,
    params: func.params.map((p) => (p === seed ? { value: renamed, role: 'scalar' as const } : p)),
    ops: func.ops.map((op): Op => ({ ...op, operands: op.operands.map(swap) })),
    results: func.results.map((r): Result => ({ ...r, value: swap(r.value) })),
  };
}

function addFunction(
  table: FunctionTable,
  pipelines: PipelineTable,
  func: Func,
  target: Target,
  dims: Record<string, number>,
  options: FunctionOptions,
): number {
  const { decl, fused } = compileFunction(func, target, pipelines, dims, options);
  table.decls.push(decl);
  table.plain.push(func);
  table.fused.push(fused);
  return table.decls.length - 1;
}

/** Update functions' own dimensions, behind the model's: rows of four, columns of a norm part, groups. */
const UPDATE_DIMS = { N: 65536, Q: 64, G: 64 };

/** Compiles a traced model: all forms of all functions; training programs (`params` trainable) with their updates. */
export function compileModel(model: TracedModel, options: CompileOptions): Compiled {
  const { module } = model;
  const main = mainOf(module);
  const { target, onPass, onKernel } = options;
  const hooks = { onPass, onKernel };
  const trains = model.params.some((p) => p.trainable);
  const dims: Record<string, number> = { ...module.dims, ...(trains ? UPDATE_DIMS : {}) };
  const pipelines = pipelineTable();
  const table: FunctionTable = { decls: [], plain: [], fused: [] };
  const keyed = trains ? backwardKeys(model) : callsOf(module).map((call): CallKeys => plainCall(module, call));

  // on CPUs turning dq and dk back where they are made costs LLVM more than it saves: the first step of 12 units 17 s against 20
  const formOptions = { sizes: module.dims, turnsBack: !isSoftware(target.device.kind), onPass };
  const lastUnit = keyed.findLastIndex(({ call }) => call.attrs['unit'] === true);
  const forms = new Map<Func, { forward: number; backwards: Map<string, { decl: number; backward: Backward }> }>();
  for (const { func } of keyed) {
    if (forms.has(func)) continue;
    const uses = keyed.filter((k) => k.func === func);
    const keys = uniqueKeys(uses.flatMap((k) => k.keys));
    const made: Forms = keys.length > 0 ? formsOf(func, keys, formOptions) : { forward: runPasses(FORWARD, func, undefined, onPass), backwards: [] };
    const isWeight = (i: number): boolean => func.params[i]?.role === 'weight';
    const forward = addFunction(table, pipelines, made.forward, target, dims, { weights: () => false, everyStep: trains, ...hooks });
    const backwards = new Map(
      made.backwards.map((backward) => {
        const decl = addFunction(table, pipelines, lossScale(backward.func), target, dims, {
          weights: isWeight,
          everyStep: uses.every(({ call }) => call.attrs['unit'] !== true),
          // what lies above all units runs once, what lies below may run again (runtime/probe.ts)
          overwriteSaved: uses.every((k) => keyed.indexOf(k) > lastUnit),
          ...hooks,
        });
        return [backwardKeyText(backward.key), { decl, backward }];
      }),
    );
    forms.set(func, { forward, backwards });
  }

  const valueIds = new Map<Value, number>();
  const values = callsOf(module)
    .flatMap((op) => op.results)
    .map((v, i) => {
      valueIds.set(v, i);
      return { name: v.name, extent: extentOf(v.type) };
    });
  const inputs = main.params.filter((p) => p.role === 'input').map((p) => p.value);
  const states = main.params.filter((p) => p.role === 'state').map((p) => p.value);
  const paramIds = new Map(model.params.map((p, i) => [p.name, i]));
  const roles = new Map(main.params.map((p) => [p.value, p.role]));
  const rowsOf = weightRows(main);
  const argument = (v: Value): ArgumentDecl => {
    const role = roles.get(v);
    const rows = rowsOf(v);
    if (rows) {
      const param = paramIds.get(rows.weight.name) ?? -1;
      const { dtype, shape } = rows.weight.type;
      return { kind: 'param', param, ...(rows.start === undefined ? {} : { offset: byteSize({ dtype, shape: [rows.start, ...shape.slice(1)] }, {}) }) };
    }
    if (role === 'input') return { kind: 'input', input: inputs.indexOf(v) };
    if (role === 'state') return { kind: 'state', state: states.indexOf(v) };
    if (role === 'scalar') return { kind: 'scalar', name: v.name };
    return { kind: 'value', value: valueIds.get(v) ?? -1 };
  };
  const calls = keyed.map(({ call, func, keys, residual }): CallDecl => {
    const form = forms.get(func);
    if (!form) throw new Error(`@${func.name} has no forms`);
    return {
      site: String(call.attrs['site']),
      unit: call.attrs['unit'] === true,
      forward: form.forward,
      arguments: call.operands.map(argument),
      results: call.results.map((r) => valueIds.get(r) ?? -1),
      backwards: keys.map((key): BackwardDecl => {
        const text = backwardKeyText(key);
        const found = form.backwards.get(text);
        if (!found) throw new Error(`@${func.name} has no form ${text}`);
        return { key: text, function: found.decl, sources: found.backward.sources, gradientOf: found.backward.gradientOf };
      }),
      residual,
      ...(call.attrs['again'] === true ? { again: true } : {}),
      ...(liftedOf(call).length > 0 ? { constants: Object.fromEntries(liftedOf(call).map((value, i) => [`lifted${i}`, value])) } : {}),
    };
  });
  const updates: Record<string, number> = {};
  if (trains) {
    // the runtime hands these no more than a binding at once
    const { maxBinding: _whole, ...unbounded } = target;
    const optimizers = options.optimizers ?? ['adamw', 'sgd'];
    const funcs = [
      accumulate(),
      sqnorm(),
      clip(),
      assign(),
      subtract(),
      ...(optimizers.includes('adamw') ? [adamw()] : []),
      ...(optimizers.includes('sgd') ? [sgd()] : []),
    ];
    for (const func of funcs)
      updates[func.name] = addFunction(table, pipelines, runPasses(FORWARD, func, undefined, onPass), unbounded, dims, { weights: () => false, ...hooks });
  }
  const program: Program = {
    version: PROGRAM_VERSION,
    dims: Object.entries(dims).map(([name, bound]) => ({ name, bound })),
    partBytes: partBytesOf(target),
    pipelines: pipelines.list,
    functions: table.decls,
    calls,
    values,
    inputs: inputs.map((v) => ({ name: v.name, dtype: v.type.dtype as 'i32', extent: extentOf(v.type) })),
    states: states.map((v) => ({ name: v.name, extent: extentOf(v.type) })),
    params: model.params.map(
      (p): ParamInfo => ({
        name: p.name,
        shape: p.shape,
        dtype: p.dtype,
        bytes: byteLength(p),
        trainable: p.trainable,
        table: p.table !== undefined,
        init: p.init,
      }),
    ),
    results: main.results.map((r) => valueIds.get(r.value) ?? -1),
    updates,
  };
  return { program, stages: { trace: module, dropbp: { dims, funcs: table.plain }, fuse: { dims, funcs: table.fused } } };
}

function plainCall(module: Module, call: Op): CallKeys {
  const func = module.funcs.find((f) => f.name === call.attrs['callee']);
  if (!func) throw new Error(`no function @${call.attrs['callee']}`);
  return { call, func, keys: [], residual: call.attrs['unit'] === true ? residualParam(func) : null };
}

function uniqueKeys(keys: readonly BackwardKey[]): BackwardKey[] {
  return [...new Map(keys.map((k) => [backwardKeyText(k), k])).values()];
}

function byteLength(p: TracedModel['params'][number]): number {
  const { of, bytes } = extentOf({ dtype: p.dtype, shape: p.shape });
  return of.reduce<number>((product, d) => product * Number(d), bytes);
}
