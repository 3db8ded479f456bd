/** @file Compiles a function to plain data: it is fused, its kernels become pipelines, and its values become slots. */

import { type KernelLimits, limitProblems } from '../codegen/kernel/check/limits.ts';
import { type DeviceTraits, kindTraits } from '../codegen/kernel/device.ts';
import type { Kernel } from '../codegen/kernel/ir.ts';
import type { ChooseSchedule } from '../codegen/kernel/lower/choice.ts';
import { scalarWords } from '../codegen/kernel/lower/emit.ts';
import { groupOf } from '../codegen/kernel/lower/group.ts';
import { lowerGroup } from '../codegen/kernel/lower/lower.ts';
import type { BoundKernel, Lowered } from '../codegen/kernel/lower/lowered.ts';
import type { LowerOptions } from '../codegen/kernel/lower/options.ts';
import type { MatmulPrecision } from '../codegen/kernel/matmul/work.ts';
import { splitBuffers } from '../codegen/kernel/rewrite/parts.ts';
import { at, EbbError, invariant } from '../errors.ts';
import { opCost } from '../ir/cost.ts';
import { shapeToAttr } from '../ir/define.ts';
import { isFused } from '../ir/ops/control.ts';
import { accumulates } from '../ir/ops/index.ts';
import type { Func, Op, Value } from '../ir/types.ts';
import { type OnPass, runPasses } from '../passes/pass.ts';
import { KERNELS } from '../passes/pipeline.ts';
import { ALIGNMENT } from '../runtime/link/layout.ts';
import { type DispatchDecl, extentBytes, type FunctionDecl, type GridAxis } from '../runtime/program.ts';
import { type PipelineTable, pipelineOf } from './pipelines.ts';
import { extentOf, type SlotTable, slotTable, type ValueFacts, valueFacts } from './slots.ts';

/** What a model is compiled for: a device, and how its kernels are chosen. */
export interface CompileDevice {
  readonly traits: DeviceTraits;
  /** The target whose kernels it takes, by name; default `wgsl`. */
  readonly target?: string;
  /** Most storage buffers that a kernel may bind. */
  readonly maxBuffers: number;
  /** What it allows of a kernel besides; by default nobody looks. */
  readonly limits?: Omit<KernelLimits, 'maxStorageBuffers'>;
  /** What operands of matrix products may be rounded to; default f32, which rounds nothing. */
  readonly matmulPrecision?: MatmulPrecision | undefined;
  /** Chooses the schedules of kernels; by default the standard ones of the device's kind. */
  readonly choose?: ChooseSchedule | undefined;
  /** Stored weights of at most this many bytes as f32 are widened once per dot (see `FuseOptions`); default 0. */
  readonly widenOnce?: number;
  /** Most bytes of one binding (maxStorageBufferBindingSize); larger tensors are bound in parts. Default: no limit. */
  readonly maxBinding?: number;
}

/** Bytes of a part of a tensor that is larger than a binding. Parts start and end where bindings may, except that the last ends with the tensor. */
export function partBytesOf({ maxBinding = Number.MAX_SAFE_INTEGER }: CompileDevice): number {
  return Math.floor(maxBinding / ALIGNMENT) * ALIGNMENT;
}

/** The `widenOnce` that suits a device's kind, in bytes. */
export function widenOnceFor(device: DeviceTraits): number {
  return kindTraits(device).widenOnce;
}

/** Makes all buffers writable but the constant ones: WebGPU refuses a buffer that one dispatch binds both to read and to write. */
function withAccess(kernel: Kernel, constant: readonly boolean[]): Kernel {
  return { ...kernel, buffers: kernel.buffers.map((b, i) => ({ ...b, access: constant[i] ? b.access : 'read_write' })) };
}

export interface FunctionOptions {
  /** Whether the argument of that index is a weight. Its gradient is added to if an earlier call has written it. */
  readonly weights: (argument: number) => boolean;
  /** Whether every training step runs it, whatever is dropped; its kernels may then take longer to compile. Default false. */
  readonly everyStep?: boolean;
  /** See `OverwriteOptions`. */
  readonly overwriteSaved?: boolean;
  readonly onPass?: OnPass | undefined;
  /** Called with each kernel before it is printed. With `adding` it is the variant of the kernel before it that adds to gradients. */
  readonly onKernel?: ((kernel: Kernel, adding: boolean) => void) | undefined;
}

/** What is needed to lower the groups of one function. */
interface FunctionContext {
  readonly facts: ValueFacts;
  readonly slots: SlotTable;
  readonly table: PipelineTable;
  readonly lowering: Omit<LowerOptions, 'adds'>;
  /** How many bindings a value takes: several if it is larger than a binding may be. */
  readonly parts: (v: Value) => number;
  readonly partBytes: number;
  readonly limits: KernelLimits | null;
  readonly onKernel: FunctionOptions['onKernel'];
}

/** Compiles `func`, which holds primitives and kernel ops: fuses it, adds its pipelines to `table`, and describes it as plain data. */
export function compileFunction(
  func: Func,
  device: CompileDevice,
  table: PipelineTable,
  dims: Readonly<Record<string, number>>,
  options: FunctionOptions,
): { decl: FunctionDecl; fused: Func } {
  const { everyStep = false, overwriteSaved = false, onPass, onKernel, weights } = options;
  const partBytes = partBytesOf(device);
  const parts = (v: Value): number => Math.max(1, Math.ceil(extentBytes(extentOf(v.type), dims) / partBytes));
  const fusing = { maxBuffers: device.maxBuffers, widenOnce: device.widenOnce ?? 0, weights, overwriteSaved, parts };
  const fused = runPasses(KERNELS, func, fusing, onPass);
  const facts = valueFacts(fused, weights);
  const slots = slotTable(fused, facts);
  const scalarWord = scalarWords(fused.params.filter((p) => p.role === 'scalar').map((p) => p.value));
  const { traits, choose, matmulPrecision } = device;
  const { schedules } = table.target;
  const lowering = { device: traits, schedules, dims: Object.keys(dims), sizes: dims, scalarWord, choose, matmulPrecision, everyStep };
  const limits = device.limits ? { ...device.limits, maxStorageBuffers: device.maxBuffers } : null;
  const context: FunctionContext = { facts, slots, table, lowering, parts, partBytes, limits, onKernel };
  const dispatches: DispatchDecl[] = [];
  for (const op of fused.ops.filter(isFused)) dispatches.push(...dispatchesOf(op, dispatches.length, context));
  const decl: FunctionDecl = {
    name: func.name,
    params: fused.params.map((p, i) => ({ role: p.role, slot: i })),
    slots: slots.list,
    scalars: [...scalarWord].map(([v, word]) => ({ name: v.name, dtype: v.type.dtype as 'f32', word })),
    dispatches,
    results: fused.results.map((r) => ({ role: r.role, slot: slots.slotOf(r.value), ...(r.of === undefined ? {} : { of: r.of }) })),
    inplace: fused.results.map((r) => {
      const read = slots.overwrittenBy(r.value);
      const index = fused.params.findIndex((p) => p.value === read);
      return index < 0 ? null : index;
    }),
  };
  return { decl, fused };
}

/** The dispatches of a group, the first of which is the function's dispatch `first`. */
function dispatchesOf(op: Op, first: number, context: FunctionContext): readonly DispatchDecl[] {
  const { facts, slots, lowering } = context;
  const lower = (adds: ReadonlySet<Value>): Lowered => lowerGroup(op, { ...lowering, adds });
  const lowered = lower(new Set());
  for (const [out, read] of groupOf(op).inplace) slots.overwrite(out, read);
  const flops = opCost(op);
  const made: DispatchDecl[] = [];
  const bind = (kernel: BoundKernel): BoundDispatch => bound(kernel, first + made.length, context);
  if (lowered.before) made.push({ ...bind(lowered.before).dispatch, flops, partial: true });
  const sum = op.body?.ops.find(accumulates)?.results[0];
  const clearedByStep = sum !== undefined && facts.isGradient(sum);
  // The kernel adds to what its result holds. A weight's gradient is cleared once a step, any other result here.
  if (sum && !clearedByStep) made.push({ ...bind(lowerGroup(zeros(sum), { ...lowering, adds: new Set() })).dispatch, flops: [], partial: true });
  const { dispatch, pipelineFor } = bind(lowered);
  const written = new Set(op.results.filter(facts.isGradient));
  const adding = sum === undefined && written.size > 0 ? pipelineFor(renamed(lower(written).kernel), true) : undefined;
  made.push({
    ...dispatch,
    ...(adding === undefined ? {} : { adding }),
    flops: lowered.before ? [] : flops,
    ...(clearedByStep ? { clears: slots.slotOf(sum) } : {}),
  });
  return made;
}

/** A dispatch of a kernel, and a function that finds the pipeline of another kernel with the same bindings. */
interface BoundDispatch {
  readonly dispatch: Omit<DispatchDecl, 'flops'>;
  readonly pipelineFor: (kernel: Kernel, adding: boolean) => number;
}

/** @throws EbbError for a kernel that goes beyond what the device allows */
function checkKernel(kernel: Kernel, limits: KernelLimits | null): void {
  const [problem] = limits ? limitProblems(kernel, limits) : [];
  if (problem !== undefined)
    throw new EbbError(`kernel ${kernel.name}: ${problem}; choose another device, or tune without the schedules that were measured`, 'device');
}

/** Binds a kernel to the slots of its values, as the function's dispatch `index`. */
function bound({ kernel, values }: BoundKernel, index: number, { facts, slots, table, parts, partBytes, limits, onKernel }: FunctionContext): BoundDispatch {
  const touched = values.map(slots.slotOf);
  for (const slot of touched) slots.use(slot, index);
  const roles = values.map(facts.roleOf);
  const constant = roles.map((role) => role === 'weight' || role === 'input');
  const moves = values.map((v, i) => roles[i] === 'input' || (!constant[i] && !facts.isGradient(v) && roles[i] !== 'state'));
  const counts = values.map(parts);
  const spread = <T>(list: readonly T[]): T[] => list.flatMap((x, i) => new Array<T>(at(counts, i)).fill(x));
  const pipelineFor = (made: Kernel, adding: boolean): number => {
    const whole = splitBuffers(withAccess(made, constant), counts, partBytes);
    checkKernel(whole, limits);
    onKernel?.(whole, adding);
    return pipelineOf(table, whole, spread(moves));
  };
  const [x, y, z] = kernel.grid.map(({ of, per }): GridAxis => ({ of, per }));
  invariant(x && y && z, `${kernel.name} must have a grid of three axes`);
  return {
    dispatch: {
      pipeline: pipelineFor(kernel, false),
      slots: spread(touched),
      ...(counts.some((n) => n > 1) ? { parts: counts.flatMap((n) => Array.from({ length: n }, (_, k) => k)) } : {}),
      grid: [x, y, z],
    },
    pipelineFor,
  };
}

/** A group that writes zeros to `v`. */
function zeros(v: Value): Op {
  const zero: Value = { name: 'zero', type: { dtype: v.type.dtype, shape: [] } };
  const ops: Op[] = [
    { name: 'constant', operands: [], attrs: { value: 0, dtype: v.type.dtype }, results: [zero] },
    { name: 'broadcast', operands: [zero], attrs: { shape: shapeToAttr(v.type.shape) }, results: [v] },
  ];
  return { name: 'fused', operands: [], attrs: { kind: 'map', name: 'zeros' }, results: [v], body: { params: [], ops, results: [v] } };
}

/** The kernel under the name of the variant that adds to gradients. */
function renamed(kernel: Kernel): Kernel {
  return { ...kernel, name: `${kernel.name}_add` };
}
