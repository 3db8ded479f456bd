/** @file A traced model at every stage of its compilation as text: the whole model, one function, or one call. */

import { workgroupBytes } from '../codegen/kernel/check/limits.ts';
import { matrixProducts } from '../codegen/kernel/check/products.ts';
import { kernelText } from '../codegen/targets/wgsl/text.ts';
import { type Compiled, type CompileOptions, compileModel } from '../compile/compile.ts';
import { at, EbbError, invariant } from '../errors.ts';
import { callsOf } from '../ir/module.ts';
import { type PrintOptions, printModule } from '../ir/print.ts';
import type { DimSizes, Func, Module } from '../ir/types.ts';
import type { MatrixProduct } from '../runtime/matrices.ts';
import type { TracedModel } from '../trace/trace.ts';
import { calleeOf, siteNames, siteOf } from './site.ts';

/** Stages whose text is the tensor IR. */
export const IR_STAGES = ['trace', 'grad', 'dropbp', 'fuse'] as const;
/** Stages whose text is kernels. */
export const KERNEL_STAGES = ['kernel', 'wgsl'] as const;
export const TEXT_STAGES = [...IR_STAGES, ...KERNEL_STAGES] as const;
export type IrStage = (typeof IR_STAGES)[number];
export type TextStage = (typeof TEXT_STAGES)[number];

/** A compiled model with every stage of every function. */
export interface Inspected {
  readonly traced: TracedModel;
  readonly compiled: Compiled;
  /** Functions that hold forward and backward in one: for each function of the model one for each set of gradients that a call can want. */
  readonly joint: readonly Func[];
  /** By function of the program, then by dispatch: the text of its kernel. */
  readonly kernels: readonly (readonly string[])[];
  /** The largest workgroup among all kernels, the most bytes of shared memory that one takes, and the matrices that kernels multiply. */
  readonly workgroup: { readonly invocations: number; readonly bytes: number; readonly matrices: readonly MatrixProduct[] };
}

/** Which functions of a stage are shown: one by its name with its forms (`attn` with `attn.fwd`, `attn.bwd`, …), or those of one call. */
export interface Scope {
  readonly function?: string | undefined;
  readonly unit?: string | undefined;
}

/** What is printed behind the ops of a stage. */
export interface Shown {
  /** The places in the definition that the ops come from. */
  readonly locs: boolean;
  /** FLOPs at these sizes. */
  readonly costs?: DimSizes | undefined;
}

/** Names the functions that differentiation makes, which have the same name: `attn.grad`, `attn.grad1`, … */
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
  let next = 0;
  const kernels = compiled.program.functions.map((fn) => texts.slice(next, (next += fn.dispatches.length)));
  return { traced, compiled, joint: numbered(joint), kernels, workgroup: { ...workgroup, matrices: [...matrices.values()] } };
}

/** Whether a function belongs to a scope. `@attn` and `attn` name a function and its forms, `attn.<form>`. */
export function inScope(name: string, { function: wanted }: Scope): boolean {
  const bare = wanted?.replace(/^@/, '');
  return bare === undefined || name === bare || name.startsWith(`${bare}.`);
}

/** The functions that a scope names. @throws EbbError listing all functions when it names none of them */
function scoped<T extends { readonly name: string }>(funcs: readonly T[], scope: Scope): T[] {
  const found = funcs.filter((f) => inScope(f.name, scope));
  if (found.length === 0)
    throw new EbbError(`--function: no function @${scope.function?.replace(/^@/, '')} here; there are ${funcs.map((f) => `@${f.name}`).join(', ')}`);
  return found;
}

function moduleOf(x: { readonly traced: TracedModel } & Partial<Inspected>, stage: IrStage): Module {
  const trace = x.traced.module;
  if (stage === 'trace') return trace;
  invariant(x.compiled && x.joint, `the stage ${stage} is asked of a model that is not compiled`);
  return stage === 'grad' ? { dims: trace.dims, funcs: x.joint } : x.compiled.stages[stage];
}

/** The index of the call at a site. @throws EbbError listing all sites when there is none */
export function callAt(traced: TracedModel, site: string): number {
  const sites = callsOf(traced.module).map(siteOf);
  const call = sites.indexOf(site);
  if (call < 0) throw new EbbError(`--unit: no unit or piece of trunk ${site}; there are ${sites.join(', ')}`);
  return call;
}

/** The indices of the program's functions that a call can run: its forward and its backwards. */
export function functionsOfCall({ compiled }: Inspected, call: number): number[] {
  const { forward, backwards } = at(compiled.program.calls, call);
  return [forward, ...backwards.map((b) => b.function)];
}

/** The module of a stage, restricted to `scope`. A model that is only traced has only the stage `trace`. */
export function stageModule(x: { readonly traced: TracedModel } & Partial<Inspected>, stage: IrStage, scope: Scope = {}): Module {
  const whole = moduleOf(x, stage);
  if (scope.unit === undefined) return scope.function === undefined ? whole : { dims: whole.dims, funcs: scoped(whole.funcs, scope) };
  const call = callAt(x.traced, scope.unit);
  const callee = calleeOf(x.traced.module, at(callsOf(x.traced.module), call)).name;
  const own =
    stage === 'trace' || stage === 'grad'
      ? whole.funcs.filter((f) => f.name === callee || f.name.startsWith(`${callee}.`))
      : functionsOfCall(x as Inspected, call).map((i) => at(whole.funcs, i));
  return { dims: whole.dims, funcs: scoped(own, scope).map(siteNames(x.traced, call)) };
}

/** The texts of the kernels of a stage, each once. */
export function kernelTexts(x: Inspected, stage: (typeof KERNEL_STAGES)[number], scope: Scope = {}): string[] {
  const { program } = x.compiled;
  if (stage === 'wgsl' && scope.unit === undefined && scope.function === undefined) return program.pipelines.map((p) => p.code);
  const all = scope.unit === undefined ? program.functions.map((_, i) => i) : functionsOfCall(x, callAt(x.traced, scope.unit));
  const functions = scoped(
    all.map((index) => ({ ...at(program.functions, index), kernels: at(x.kernels, index) })),
    scope,
  );
  const texts = functions.flatMap(({ kernels, dispatches }) => (stage === 'kernel' ? kernels : dispatches.map((d) => at(program.pipelines, d.pipeline).code)));
  return [...new Set(texts)];
}

/** Writes a stage as text. Costs are counted at the sizes of `shown.costs`, and at the bound of a dimension that it does not name. */
export function stageText(x: { readonly traced: TracedModel } & Partial<Inspected>, stage: TextStage, shown: Shown, scope: Scope = {}): string {
  if (stage === 'kernel' || stage === 'wgsl') return `${kernelTexts(x as Inspected, stage, scope).join('\n')}\n`;
  const module = stageModule(x, stage, scope);
  const print: PrintOptions = { locs: shown.locs, ...(shown.costs ? { costs: { ...module.dims, ...shown.costs } } : {}) };
  return printModule(module, print);
}
