/** @file Compiles a traced model to a Program. This is the one place that joins tracing and passes with the runtime's plain data. */

import { kindTraits } from '../codegen/kernel/device.ts';
import type { Target } from '../codegen/targets/target.ts';
import { targetNamed } from '../codegen/targets/targets.ts';
import { at, EbbError } from '../errors.ts';
import { mainOf } from '../ir/module.ts';
import type { Func, Module } from '../ir/types.ts';
import { type OnPass, runPasses } from '../passes/pass.ts';
import { FORWARD } from '../passes/pipeline.ts';
import { WEBGPU_TARGET } from '../runtime/deviceProfile.ts';
import { type FunctionDecl, type InputDecl, type ParamInfo, PROGRAM_VERSION, type Program } from '../runtime/program.ts';
import type { TracedModel } from '../trace/trace.ts';
import { formModel, learns } from './forms.ts';
import { type CompileDevice, compileFunction, type FunctionOptions, partBytesOf } from './functions.ts';
import { pipelineTable } from './pipelines.ts';
import { idRanges } from './ranges.ts';
import { extentOf } from './slots.ts';
import { accumulate, adamw, adamwCount, assign, clip, sgd, sgdCount, sqnorm, subtract, zero } from './updates.ts';

/** A compiled model: the program, and the module after each stage for inspection. */
export interface Compiled {
  readonly program: Program;
  readonly stages: {
    readonly trace: Module;
    /** Forward and backward functions in primitives and kernel ops, with what forward saves. */
    readonly dropbp: Module;
    readonly fuse: Module;
  };
}

/** What a model is compiled for, and callbacks that watch the compilation. */
export interface CompileOptions {
  readonly device: CompileDevice;
  /** The language that kernels are printed in; default the one that the device takes. A target that is none of Ebb's own is handed over here. */
  readonly target?: Target;
  /** Optimizers whose update functions are made; default both. */
  readonly optimizers?: readonly ('adamw' | 'sgd')[];
  /** Called after each pass with the function that it made. */
  readonly onPass?: OnPass;
  /** Called with each kernel before it is printed. */
  readonly onKernel?: FunctionOptions['onKernel'];
}

interface FunctionTable {
  readonly decls: FunctionDecl[];
  readonly fused: Func[];
}

/** Bounds of the update functions' dimensions, which follow the model's: N rows of four, Q columns of a norm part, G groups. */
const UPDATE_DIMS = { N: 65536, Q: 64, G: 64 };

/**
 * Compiles a traced model: all forms of all its functions, and, if it can be trained, the functions that update its parameters.
 * @throws EbbError if no device is given
 */
export function compileModel(model: TracedModel, options: CompileOptions): Compiled {
  if ((options.device as unknown) === undefined)
    throw new EbbError('compileModel: expected options.device, { traits, maxBuffers, … }; Ebb 0.1 called it target, and its traits device');
  const { module } = model;
  const main = mainOf(module);
  const { device, target = targetNamed(device.target ?? WEBGPU_TARGET), onPass, onKernel } = options;
  const trains = learns(model);
  const dims: Record<string, number> = { ...module.dims, ...(trains ? UPDATE_DIMS : {}) };
  const pipelines = pipelineTable(target);
  const table: FunctionTable = { decls: [], fused: [] };
  const addFunction = (func: Func, to: CompileDevice, how: Omit<FunctionOptions, 'onPass' | 'onKernel'>): number => {
    const { decl, fused } = compileFunction(func, to, pipelines, dims, { ...how, onPass, onKernel });
    table.fused.push(fused);
    return table.decls.push(decl) - 1;
  };

  const formed = formModel(model, { turnsBack: kindTraits(device.traits).turnsBack, onPass });
  for (const { func, flows, ...how } of formed.functions) {
    const index = addFunction(func, device, how);
    if (flows) table.decls[index] = { ...at(table.decls, index), flows };
  }
  const updates = trains ? updateFunctions(options) : [];
  // The runtime calls update functions on no more bytes at once than a binding holds.
  const { maxBinding: _whole, ...unbounded } = device;
  const updateIndices = Object.fromEntries(updates.map((func) => [func.name, addFunction(func, unbounded, { weights: () => false })]));
  const plain = [...formed.functions.map((f) => f.func), ...updates];
  const program: Program = {
    version: PROGRAM_VERSION,
    target: target.name,
    dims: Object.entries(dims).map(([name, bound]) => ({ name, bound })),
    partBytes: partBytesOf(device),
    pipelines: pipelines.list,
    functions: table.decls,
    calls: formed.calls,
    values: formed.values.map((v) => ({ name: v.name, extent: extentOf(v.type) })),
    inputs: programInputs(model),
    states: main.params.flatMap(({ role, value: { name, type } }) => (role === 'state' ? [{ name, extent: extentOf(type) }] : [])),
    params: model.params.map(paramInfo),
    results: formed.results,
    updates: updateIndices,
  };
  return { program, stages: { trace: module, dropbp: { dims, funcs: plain }, fuse: { dims, funcs: table.fused } } };
}

/** The functions that update parameters, for the optimizers that are asked for, in the ops that kernels are made of. */
function updateFunctions({ optimizers = ['adamw', 'sgd'], onPass }: CompileOptions): Func[] {
  return [
    accumulate(),
    sqnorm(),
    clip(),
    assign(),
    subtract(),
    zero(),
    ...(optimizers.includes('adamw') ? [adamwCount(), adamw()] : []),
    ...(optimizers.includes('sgd') ? [sgdCount(), sgd()] : []),
  ].map((func) => runPasses(FORWARD, func, undefined, onPass));
}

const paramInfo = (p: TracedModel['params'][number]): ParamInfo => ({
  name: p.name,
  shape: p.shape,
  dtype: p.dtype,
  bytes: byteLength(p),
  trainable: p.trainable,
  table: p.table !== undefined,
  init: p.init,
});

/** The inputs of a step, in the order of the model's definition, with the range of those that are ids. */
export function programInputs({ module }: Pick<TracedModel, 'module'>): InputDecl[] {
  const ranges = idRanges(module);
  return mainOf(module).params.flatMap(({ value: { name, type }, role }): InputDecl[] => {
    if (role !== 'input') return [];
    const ids = ranges.get(name);
    return [{ name, dtype: type.dtype as InputDecl['dtype'], extent: extentOf(type), ...(ids ? { ids } : {}) }];
  });
}

function byteLength(p: TracedModel['params'][number]): number {
  const { of, bytes } = extentOf({ dtype: p.dtype, shape: p.shape });
  return of.reduce<number>((product, d) => product * Number(d), bytes);
}
