/** @file A traced model at every stage of its compilation, as text; all of it, one function, or one call. */

import { workgroupBytes } from '../codegen/kernel/check/kernel.ts';
import { matrixProducts } from '../codegen/kernel/check/products.ts';
import { kernelText } from '../codegen/targets/wgsl/text.ts';
import { type Compiled, type CompileOptions, compileModel } from '../compile/compile.ts';
import { EbbError } from '../errors.ts';
import { callsOf } from '../ir/module.ts';
import { type PrintOptions, printModule } from '../ir/print.ts';
import type { DimSizes, Func, Module } from '../ir/types.ts';
import type { MatrixProduct } from '../runtime/matrices.ts';
import type { TracedModel } from '../trace/trace.ts';
import { siteNames } from './site.ts';

/** Stages whose text is IR, then those of kernels. */
export const IR_STAGES = ['trace', 'grad', 'dropbp', 'fuse'] as const;
export const KERNEL_STAGES = ['kernel', 'wgsl'] as const;
export const TEXT_STAGES = [...IR_STAGES, ...KERNEL_STAGES] as const;
export type IrStage = (typeof IR_STAGES)[number];
export type TextStage = (typeof TEXT_STAGES)[number];

/** Compiled for reading: every stage of every function. */
export interface Inspected {
  readonly traced: TracedModel;
  readonly compiled: Compiled;
  /** Forward and backward of a function in one, once for each set of gradients a call can want. */
  readonly joint: readonly Func[];
  /** Text of each function's kernels, in the order of the program's functions and their dispatches. */
  readonly kernels: readonly (readonly string[])[];
  /** The most that a workgroup of any kernel takes, and the matrices that kernels multiply. */
  readonly workgroup: { readonly invocations: number; readonly bytes: number; readonly matrices: readonly MatrixProduct[] };
}

/** What of a stage is shown: functions of a name and its forms (`attn`: also `attn.fwd`, `attn.bwd`, …), or those of one call. */
export interface Scope {
  readonly function?: string | undefined;
  readonly unit?: string | undefined;
}

/** What of a stage is printed behind its ops. */
export interface Shown {
  readonly locs: boolean;
  /** FLOPs, at these sizes. */
  readonly costs?: DimSizes | undefined;
}

/** Forms of a function as differentiation makes them: `attn.grad`, `attn.grad1`, … */
function numbered(funcs: readonly Func[]): Func[] {
  const used = new Map<string, number>();
  return funcs.map((func) => {
    const n = used.get(func.name) ?? 0;
    used.set(func.name, n + 1);
    return { ...func, name: `${func.name}.grad${n === 0 ? '' : n}` };
  });
}

/** Compiles a traced model and keeps what each pass made of it. */
export function inspect(traced: TracedModel, device: CompileOptions['device']): Inspected {
  const joint: Func[] = [];
  const texts: string[] = [];
  const workgroup = { invocations: 1, bytes: 0 };
  const matrices = new Map<string, MatrixProduct>();
  const compiled = compileModel(traced, {
    device,
    onPass: (pass, func) => void (pass === 'grad' && joint.push(func)),
    onKernel(kernel, adding) {
      if (!adding) texts.push(kernelText(kernel));
      workgroup.invocations = Math.max(
        workgroup.invocations,
        kernel.workgroup.reduce((n, size) => n * size, 1),
      );
      workgroup.bytes = Math.max(workgroup.bytes, workgroupBytes(kernel));
      for (const product of matrixProducts(kernel)) matrices.set(JSON.stringify(product), product);
    },
  });
  let at = 0;
  const kernels = compiled.program.functions.map((fn) => texts.slice(at, (at += fn.dispatches.length)));
  return { traced, compiled, joint: numbered(joint), kernels, workgroup: { ...workgroup, matrices: [...matrices.values()] } };
}

/** `@attn` and `attn` name a function; its forms are `attn.<form>`. */
export function inScope(name: string, { function: wanted }: Scope): boolean {
  const bare = wanted?.replace(/^@/, '');
  return bare === undefined || name === bare || name.startsWith(`${bare}.`);
}

/** Functions with their indices that `scope` names. @throws EbbError listing what there is when it names none */
function scoped<T extends { readonly name: string }>(funcs: readonly T[], scope: Scope): T[] {
  const found = funcs.filter((f) => inScope(f.name, scope));
  if (found.length === 0)
    throw new EbbError(`--function: no function @${scope.function?.replace(/^@/, '')} here; there are ${funcs.map((f) => `@${f.name}`).join(', ')}`);
  return found;
}

function moduleOf(x: { readonly traced: TracedModel } & Partial<Inspected>, stage: IrStage): Module {
  const trace = x.traced.module;
  if (stage === 'trace') return trace;
  if (!x.compiled || !x.joint) throw new Error('internal: a stage behind the trace is asked of a model that is not compiled');
  return stage === 'grad' ? { dims: trace.dims, funcs: x.joint } : x.compiled.stages[stage];
}

/** The call at a site. @throws EbbError listing the sites when there is none */
export function callAt(traced: TracedModel, site: string): number {
  const ops = callsOf(traced.module);
  const at = ops.findIndex((op) => op.attrs['site'] === site);
  const sites = ops.map((op) => String(op.attrs['site']));
  if (at < 0) throw new EbbError(`--unit: no unit or piece of trunk ${site}; there are ${sites.join(', ')}`);
  return at;
}

/** Indices of the program's functions that a call can run: its forward and its backwards. */
export function functionsOfCall({ compiled }: Inspected, call: number): number[] {
  const decl = compiled.program.calls[call];
  return decl ? [decl.forward, ...decl.backwards.map((b) => b.function)] : [];
}

/** The module of a stage, restricted to `scope`. A model that is only traced has the first stage alone. */
export function stageModule(x: { readonly traced: TracedModel } & Partial<Inspected>, stage: IrStage, scope: Scope = {}): Module {
  const whole = moduleOf(x, stage);
  if (scope.unit === undefined) return scope.function === undefined ? whole : { dims: whole.dims, funcs: scoped(whole.funcs, scope) };
  const call = callAt(x.traced, scope.unit);
  const callee = String(callsOf(x.traced.module)[call]?.attrs['callee']);
  const own =
    stage === 'trace' || stage === 'grad'
      ? whole.funcs.filter((f) => f.name === callee || f.name.startsWith(`${callee}.`))
      : functionsOfCall(x as Inspected, call).flatMap((i) => whole.funcs[i] ?? []);
  return { dims: whole.dims, funcs: scoped(own, scope).map(siteNames(x.traced, call)) };
}

/** Texts of the kernels of a stage, each once. */
export function kernelTexts(x: Inspected, stage: (typeof KERNEL_STAGES)[number], scope: Scope = {}): string[] {
  const { program } = x.compiled;
  if (stage === 'wgsl' && scope.unit === undefined && scope.function === undefined) return program.pipelines.map((p) => p.wgsl);
  const all = scope.unit === undefined ? program.functions.map((_, i) => i) : functionsOfCall(x, callAt(x.traced, scope.unit));
  const functions = scoped(
    all.map((index) => ({ index, name: program.functions[index]?.name ?? '' })),
    scope,
  );
  const texts = functions.flatMap(({ index }) =>
    stage === 'kernel' ? (x.kernels[index] ?? []) : (program.functions[index]?.dispatches ?? []).map((d) => program.pipelines[d.pipeline]?.wgsl ?? ''),
  );
  return [...new Set(texts)];
}

/** The text of a stage. Costs are those of `shown.costs`; dimensions it does not name count at their bounds. */
export function stageText(x: { readonly traced: TracedModel } & Partial<Inspected>, stage: TextStage, shown: Shown, scope: Scope = {}): string {
  if (stage === 'kernel' || stage === 'wgsl') return `${kernelTexts(x as Inspected, stage, scope).join('\n')}\n`;
  const module = stageModule(x, stage, scope);
  const print: PrintOptions = { locs: shown.locs, ...(shown.costs ? { costs: { ...module.dims, ...shown.costs } } : {}) };
  return printModule(module, print);
}
