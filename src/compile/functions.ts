/** @file A fused function to plain data: its kernels as pipelines, its values as slots. */

import { type DeviceTraits, kindTraits } from '../codegen/kernel/device.ts';
import type { Kernel } from '../codegen/kernel/ir.ts';
import type { ChooseSchedule } from '../codegen/kernel/lower/choice.ts';
import { scalarWords } from '../codegen/kernel/lower/emit.ts';
import { lowerGroup } from '../codegen/kernel/lower/lower.ts';
import type { BoundKernel, Lowered } from '../codegen/kernel/lower/lowered.ts';
import type { MatmulPrecision } from '../codegen/kernel/matmul/schedule.ts';
import { canonicalText } from '../codegen/kernel/rewrite/canonical.ts';
import { splitBuffers } from '../codegen/kernel/rewrite/parts.ts';
import { moduleOf, type Target } from '../codegen/targets/target.ts';
import { opCost } from '../ir/cost.ts';
import { shapeToAttr } from '../ir/define.ts';
import { isFused } from '../ir/ops/control.ts';
import { accumulates, aliasOf } from '../ir/ops/index.ts';
import { blockOf, type Func, isBlockType, type Op, type Type, type Value } from '../ir/types.ts';
import { type OnPass, runPasses } from '../passes/pass.ts';
import { KERNELS } from '../passes/pipeline.ts';
import { ALIGNMENT } from '../runtime/link/layout.ts';
import { type DispatchDecl, type Extent, extentBytes, type FunctionDecl, type GridAxis, type PipelineDecl, type SlotDecl } from '../runtime/program.ts';

/** What a model is compiled for: a device, and how its kernels are chosen. */
export interface CompileDevice {
  readonly traits: DeviceTraits;
  readonly maxBuffers: number;
  /** What operands of products may be rounded to; default f32: nothing is. */
  readonly matmulPrecision?: MatmulPrecision | undefined;
  /** Who chooses the schedules of kernels; default: what the device's kind starts with. */
  readonly choose?: ChooseSchedule | undefined;
  /** See `fuse`: f32 bytes up to which stored weights are widened into scratch. */
  readonly widenOnce?: number;
  /** Most bytes of one binding (maxStorageBufferBindingSize); larger tensors are bound in parts. Default: no limit. */
  readonly maxBinding?: number;
}

/** Bytes of a part: every part but the last of a tensor starts and ends where a binding may. */
export function partBytesOf({ maxBinding = Number.MAX_SAFE_INTEGER }: CompileDevice): number {
  return Math.floor(maxBinding / ALIGNMENT) * ALIGNMENT;
}

/** `widenOnce` as it suits devices of a kind. */
export function widenOnceFor(device: DeviceTraits): number {
  return kindTraits(device).widenOnce;
}

/** The pipelines of a program: one for kernels that differ in names alone and are bound alike. */
export interface PipelineTable {
  /** The language that its kernels are printed in. */
  readonly target: Target;
  readonly list: PipelineDecl[];
  /** Places in the list by canonical kernel and by which of its buffers move. */
  readonly indices: Map<string, number>;
}

export function pipelineTable(target: Target): PipelineTable {
  return { target, list: [], indices: new Map() };
}

function pipelineOf(table: PipelineTable, kernel: Kernel, moves: readonly boolean[]): number {
  const key = `${canonicalText(kernel)}|${moves.map(Number).join('')}`;
  const known = table.indices.get(key);
  if (known !== undefined) return known;
  const { target, list } = table;
  list.push({
    name: kernel.name,
    wgsl: moduleOf(target, kernel),
    access: kernel.buffers.map(({ access }) => access),
    moves,
    features: target.features(kernel.uses),
  });
  table.indices.set(key, list.length - 1);
  return list.length - 1;
}

/** Bytes of a type: packed dtypes are whole words. */
export function extentOf(type: Type): Extent {
  const { bytes, block } = blockOf(type.dtype);
  if (type.dtype === 'f16' || type.dtype === 'bf16' || isBlockType(type.dtype)) {
    const elements = type.shape.reduce<number>((p, d) => p * Number(d), 1);
    return { of: [Math.ceil(((elements / block) * bytes) / 4)], bytes: 4 };
  }
  return { of: type.shape, bytes };
}

/** Buffers whose contents change within a step are writable everywhere: WebGPU refuses to mix reads and writes of one buffer. */
function withAccess(kernel: Kernel, constant: readonly boolean[]): Kernel {
  return { ...kernel, buffers: kernel.buffers.map((b, i) => ({ ...b, access: constant[i] ? b.access : 'read_write' })) };
}

export interface FunctionOptions {
  /** Whether the argument of that index is a weight, whose gradient is added to where an earlier call has written it. */
  readonly weights: (argument: number) => boolean;
  /** Whether every training step runs it, whatever is dropped: its kernels may take longer to compile. Default false. */
  readonly everyStep?: boolean;
  readonly overwriteSaved?: boolean;
  readonly onPass?: OnPass | undefined;
  /** Called with each kernel before it is printed; `adding`: the form of the one before it that adds to gradients. */
  readonly onKernel?: ((kernel: Kernel, adding: boolean) => void) | undefined;
}

/** Lowers `func` (primitives and kernel ops): fuses it, makes its pipelines, and describes it as plain data. */
export function compileFunction(
  func: Func,
  device: CompileDevice,
  table: PipelineTable,
  dims: Readonly<Record<string, number>>,
  options: FunctionOptions,
): { decl: FunctionDecl; fused: Func } {
  const { everyStep = false, overwriteSaved = false, onPass } = options;
  const partBytes = partBytesOf(device);
  const parts = (v: Value): number => Math.max(1, Math.ceil(extentBytes(extentOf(v.type), dims) / partBytes));
  const fused = runPasses(
    KERNELS,
    func,
    { maxBuffers: device.maxBuffers, widenOnce: device.widenOnce ?? 0, weights: options.weights, overwriteSaved, parts },
    onPass,
  );
  const scalars = fused.params.filter((p) => p.role === 'scalar').map((p) => p.value);
  const words = scalarWords(scalars);
  const alias = new Map<Value, Value>();
  for (const op of fused.ops) {
    const of = aliasOf(op);
    if (of && op.results[0]) alias.set(op.results[0], of);
  }
  const owner = (v: Value): Value => (alias.has(v) ? owner(alias.get(v) as Value) : v);
  const weightGrads = fused.results.filter((r) => r.role === 'grad' && r.of !== undefined && options.weights(r.of));
  const gradients = new Set(weightGrads.map((r) => owner(r.value)));

  const slots: (SlotDecl & { live: [number, number] })[] = [];
  const slotOf = new Map<Value, number>();
  const add = (v: Value, aliasOf?: number): number => {
    const slot = {
      name: v.name,
      extent: extentOf(v.type),
      live: [Number.POSITIVE_INFINITY, -1] as [number, number],
      ...(aliasOf === undefined ? {} : { alias: aliasOf }),
      ...(v.loc ? { loc: `${v.loc.file}:${v.loc.line}:${v.loc.column}` } : {}),
    };
    slots.push(slot);
    slotOf.set(v, slots.length - 1);
    return slots.length - 1;
  };
  for (const { value } of fused.params) add(value);
  const overwritten = new Map<Value, Value>();
  const dispatches: DispatchDecl[] = [];
  const roles = new Map(fused.params.map((p) => [p.value, p.role]));
  const groups = fused.ops.filter(isFused);
  /** The next dispatch, of a kernel bound to the slots of its values; `pipelineFor`: the pipeline of another kernel bound to the same. */
  const bind = ({ kernel, values }: BoundKernel): { dispatch: Omit<DispatchDecl, 'flops'>; pipelineFor: (made: Kernel, adding: boolean) => number } => {
    const at = dispatches.length;
    const touched = values.map((v) => {
      const own = owner(v);
      return slotOf.get(own) ?? add(own);
    });
    for (const slot of touched) {
      const s = slots[slot];
      if (s) s.live = [Math.min(s.live[0], at), Math.max(s.live[1], at)];
    }
    const constant = values.map((v) => ['weight', 'input'].includes(roles.get(owner(v)) ?? ''));
    const isGradient = values.map((v) => gradients.has(owner(v)));
    const isState = values.map((v) => roles.get(owner(v)) === 'state');
    const moves = values.map((v, i) => roles.get(owner(v)) === 'input' || (!constant[i] && !isGradient[i] && !isState[i]));
    const counts = values.map(parts);
    const spread = <T>(list: readonly T[]): T[] => list.flatMap((x, i) => new Array<T>(counts[i] ?? 1).fill(x));
    const pipelineFor = (made: Kernel, adding: boolean): number => {
      const bound = splitBuffers(withAccess(made, constant), counts, partBytes);
      options.onKernel?.(bound, adding);
      return pipelineOf(table, bound, spread(moves));
    };
    const dispatch = {
      pipeline: pipelineFor(kernel, false),
      slots: spread(touched),
      ...(counts.some((n) => n > 1) ? { parts: counts.flatMap((n) => Array.from({ length: n }, (_, k) => k)) } : {}),
      grid: kernel.grid.map((g): GridAxis => ({ of: g.of, per: g.per })) as unknown as DispatchDecl['grid'],
    };
    return { dispatch, pipelineFor };
  };
  groups.forEach((op) => {
    const lowering = {
      device: device.traits,
      dims: Object.keys(dims),
      sizes: dims,
      scalarWord: words,
      choose: device.choose,
      matmulPrecision: device.matmulPrecision,
      everyStep,
      adds: new Set<Value>(),
    };
    const lower = (adds: ReadonlySet<Value>): Lowered => lowerGroup(op, { ...lowering, adds });
    const lowered = lower(new Set());
    inplaceOf(op).forEach(([out, read]) => {
      overwritten.set(out, owner(read));
      slotOf.set(out, slotOf.get(owner(read)) ?? add(owner(read)));
    });
    const flops = opCost(op);
    if (lowered.before) dispatches.push({ ...bind(lowered.before).dispatch, flops, partial: true });
    const scatter = op.body?.ops.find(accumulates)?.results[0];
    const clearedByStep = scatter !== undefined && gradients.has(owner(scatter));
    // rows are added to what lies there: a weight's gradient is cleared once a step, anything else here
    if (scatter && !clearedByStep) dispatches.push({ ...bind(lowerGroup(zeros(scatter), lowering)).dispatch, flops: [], partial: true });
    const { dispatch, pipelineFor } = bind(lowered);
    const clears = clearedByStep ? slotOf.get(owner(scatter)) : undefined;
    const written = new Set(op.results.filter((v) => gradients.has(owner(v))));
    const adding = scatter === undefined && written.size > 0 ? pipelineFor(renamed(lower(written).kernel), true) : undefined;
    dispatches.push({
      ...dispatch,
      ...(adding === undefined ? {} : { adding }),
      flops: lowered.before ? [] : flops,
      ...(clears === undefined ? {} : { clears }),
    });
  });
  const decl: FunctionDecl = {
    name: func.name,
    params: fused.params.map((p, i) => ({ role: p.role, slot: i })),
    slots,
    scalars: scalars.map((v) => ({ name: v.name, dtype: v.type.dtype as 'f32', word: words.get(v) ?? 0 })),
    dispatches,
    results: fused.results.map((r) => ({ role: r.role, slot: slotOf.get(owner(r.value)) ?? add(owner(r.value)), ...(r.of === undefined ? {} : { of: r.of }) })),
    inplace: fused.results.map((r) => {
      const read = overwritten.get(owner(r.value));
      const index = read ? fused.params.findIndex((p) => p.value === read) : -1;
      return index < 0 ? null : index;
    }),
  };
  return { decl, fused };
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

/** The kernel that adds to gradients, called so. */
function renamed(kernel: Kernel): Kernel {
  return { ...kernel, name: `${kernel.name}_add` };
}

function inplaceOf(op: Op): [Value, Value][] {
  const flat = (op.attrs['inplace'] ?? []) as readonly number[];
  const pairs: [Value, Value][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([op.results[flat[i] ?? 0] as Value, op.operands[flat[i + 1] ?? 0] as Value]);
  return pairs;
}
