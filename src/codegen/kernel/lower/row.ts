/** @file Lowers `row` groups: a workgroup reduces one row (the last axis, or all axes), then writes what is computed from the results. Reductions
 * that do not depend on each other share a pass over the row. */

import type { Width } from '../../../ir/element.ts';
import { combineOf, kindOf } from '../../../ir/ops/index.ts';
import { productKey } from '../../../ir/ops/structural.ts';
import type { Op, Shape, Value } from '../../../ir/types.ts';
import { type KernelBuilder, kernelBuilder, ONE_GROUP } from '../builder.ts';
import { type DeviceTraits, kindTraits } from '../device.ts';
import { add, builtin, eq, f32, lt, mul, splat, u32 } from '../expr.ts';
import type { Expr } from '../ir.ts';
import type { Emitter } from './emit.ts';
import { bindGroup, type Group, type GroupBuffers, gridOf, groupWidth } from './group.ts';
import { acrossLanes, horizontal } from './lanes.ts';
import type { Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';
import { flatIndex, productExpr } from './position.ts';
import { vectorisable } from './width.ts';

interface RowSpace {
  readonly full: boolean;
  readonly rows: Shape;
  readonly width: Shape;
}

function rowSpace(anchor: Op): RowSpace {
  const shape = anchor.operands[0]?.type.shape ?? [];
  const axes = anchor.attrs['axes'] as readonly number[];
  const lastOnly = axes.length === 1 && axes[0] === shape.length - 1;
  return lastOnly ? { full: false, rows: shape.slice(0, -1), width: shape.slice(-1) } : { full: true, rows: [], width: shape };
}

/** Width at which rows of a run-time size are scheduled: they are gradients of parameter groups, or losses of a batch. */
const UNKNOWN_WIDTH = 1024;

/** Lanes for a row: one subgroup on a CPU, and on a GPU as many as the row keeps busy. */
function rowLanes(device: DeviceTraits, width: number): { lanes: number; subgroup: boolean } {
  if (kindTraits(device).lanesInTurn && device.subgroups && device.subgroupSize) return { lanes: device.subgroupSize, subgroup: true };
  let lanes = 1;
  while (lanes < 256 && lanes * 4 < width && lanes * 2 <= device.maxInvocations) lanes *= 2;
  return { lanes: Math.max(lanes, 8), subgroup: false };
}

/** How many reductions each one depends on, one behind the other. Reductions of equal depth share a pass. */
function levels(group: Group): Map<Op, number> {
  const depth = new Map<Value, number>();
  const level = new Map<Op, number>();
  for (const op of group.ops) {
    const below = Math.max(0, ...op.operands.map((v) => depth.get(v) ?? 0));
    const reduction = kindOf(op) === 'reduce';
    if (reduction) level.set(op, below);
    for (const r of op.results) depth.set(r, reduction ? below + 1 : below);
  }
  return level;
}

/** What a row group computes, and how its workgroup is cut. */
interface RowWork {
  readonly group: Group;
  readonly space: RowSpace;
  readonly reductions: readonly Op[];
  /** How many reductions each reduction depends on, one behind the other. */
  readonly level: ReadonlyMap<Op, number>;
  /** Whether a value is one number per row. */
  readonly isScalar: (v: Value) => boolean;
  /** The outputs that have an element for each element of the row. */
  readonly rowOutputs: readonly Value[];
  /** Number of neighbouring elements that a lane takes per turn. */
  readonly vector: Width;
  readonly lanes: number;
  /** Whether the lanes are one subgroup. */
  readonly subgroup: boolean;
}

function rowWork(group: Group, device: DeviceTraits): RowWork {
  const reductions = group.ops.filter((op) => kindOf(op) === 'reduce');
  const [anchor] = reductions;
  if (!anchor) throw new Error('row group reduces nothing');
  const space = rowSpace(anchor);
  const isScalar = (v: Value): boolean => productKey(v.type.shape) === productKey(space.rows);
  const rowOutputs = group.outputs.filter((v) => !isScalar(v));
  const operands = reductions.flatMap((op) => op.operands);
  const vector: Width =
    operands.every((v) => vectorisable(v, group.producer) && Number(v.type.shape.at(-1)) % 4 === 0) &&
    (rowOutputs.length === 0 || groupWidth(group, rowOutputs) === 4)
      ? 4
      : 1;
  const staticWidth = space.width.every((d) => typeof d === 'number') ? space.width.reduce<number>((p, d) => p * Number(d), 1) : UNKNOWN_WIDTH;
  return { group, space, reductions, level: levels(group), isScalar, rowOutputs, vector, ...rowLanes(device, staticWidth / vector) };
}

/** A kernel for a row group in progress: its buffers, and the row that its workgroup takes. */
interface RowKernel extends RowWork {
  readonly b: KernelBuilder;
  readonly buffers: GroupBuffers;
  readonly width: Expr;
  readonly row: Expr;
}

/** Lowers a row group to a kernel whose workgroups take a row each. */
export function lowerRow(group: Group, options: LowerOptions): Lowered {
  const work = rowWork(group, options.device);
  const { space, level, vector, lanes, subgroup } = work;
  const b = kernelBuilder(group.name, [lanes, 1, 1], subgroup ? { subgroups: true, subgroupSize: lanes } : {});
  const buffers = bindGroup(b, group, options, () => vector === 4);
  const { scope } = buffers.emit;
  const width = b.let('width', productExpr(space.width, scope));
  const row = b.let('row', b.linearWorkgroup());
  const inRange = space.full ? eq(row, u32(0)) : lt(row, productExpr(space.rows, scope));
  // The whole workgroup returns together, so control flow stays uniform at the barriers.
  b.if({ kind: 'un', type: 'bool', op: '!', a: inRange }, () => b.return());
  const kernel: RowKernel = { ...work, b, buffers, width, row };
  for (let pass = 0; pass <= Math.max(...level.values()); pass++) reducePass(kernel, pass);
  storeOutputs(kernel);
  return { kernel: b.finish([gridOf(space.full ? [1] : space.rows, 1), ONE_GROUP, ONE_GROUP]), values: buffers.values };
}

/** Loops over the row. `body` receives the flat position of the first of the `vector` elements that a lane takes in a turn. */
function overRow({ b, buffers, space, width, row, lanes, vector }: RowKernel, body: (inner: Emitter, position: Expr) => void): void {
  const first = b.let('first', mul(builtin('localX'), u32(vector)));
  b.for('k', first, width, u32(lanes * vector), (k) => body(buffers.emit.inner(), b.let('p', space.full ? k : add(mul(row, width), k))));
}

/** Runs the reductions of one level in one loop over the row, then computes the numbers per row that follow from them. */
function reducePass(kernel: RowKernel, pass: number): void {
  const { b, buffers, reductions, level, vector, lanes, subgroup } = kernel;
  const { emit } = buffers;
  const sums = reductions
    .filter((op) => level.get(op) === pass)
    .map((op) => {
      const combine = combineOf(op);
      const start = f32(combine.identity);
      return { op, combine, variable: b.var('acc', vector === 4 ? 'vec4f' : 'f32', vector === 4 ? splat('vec4f', start) : start) };
    });
  overRow(kernel, (inner, position) => {
    const indices = new Map<string, ReturnType<typeof flatIndex>>();
    for (const { op, combine, variable } of sums) {
      const [x] = op.operands;
      if (!x) continue;
      const key = x.type.shape.join();
      const index = indices.get(key) ?? flatIndex(x.type.shape, position, inner.scope);
      indices.set(key, index);
      variable.set(combine.expr(variable.get, inner.emit(x, index, vector)));
    }
  });
  for (const { op, combine, variable } of sums) {
    const own = vector === 4 ? horizontal(combine, variable.get) : variable.get;
    const total = acrossLanes(b, combine, own, lanes, subgroup);
    if (op.results[0]) emit.define(op.results[0], total);
  }
  bindRowScalars(kernel, pass);
}

/** The row's place in a tensor with one number per row. */
const rowPlace = ({ space, row }: RowKernel): Expr => (space.full ? u32(0) : row);

/** Writes what is computed from the reductions: a loop over the row, then the numbers per row, by one lane. */
function storeOutputs(kernel: RowKernel): void {
  const { b, group, buffers, isScalar, rowOutputs, vector } = kernel;
  const { emit, store, storeAll } = buffers;
  const scalars = group.outputs.filter(isScalar).map((output) => {
    const index = flatIndex(output.type.shape, rowPlace(kernel), emit.scope);
    return { output, index, value: emit.emit(output, index, 1) };
  });
  if (rowOutputs.length > 0) overRow(kernel, (inner, position) => storeAll(rowOutputs, position, inner, vector));
  // Scalars are stored last, since one may overwrite a scalar that the row reads.
  if (scalars.length > 0)
    b.if(eq(builtin('localX'), u32(0)), () => {
      for (const { output, index, value } of scalars) store(output, index, value, 1);
    });
}

/** Computes values that are one number per row, and depend only on reductions up to this pass, once and outside of the loops. */
function bindRowScalars(kernel: RowKernel, pass: number): void {
  const { b, group, buffers, level, isScalar } = kernel;
  const { emit } = buffers;
  const ready = new Map<Value, boolean>();
  for (const op of group.ops) {
    const below = op.operands.every((v) => ready.get(v) ?? !group.producer.has(v));
    const reduction = level.get(op);
    const known = reduction !== undefined ? reduction <= pass : below;
    for (const r of op.results) ready.set(r, known);
    const [out] = op.results;
    const fromReduction = op.operands.some((v) => group.producer.has(v));
    if (!out || reduction !== undefined || !known || !isScalar(out) || !fromReduction || kindOf(op) !== 'pointwise') continue;
    emit.define(out, b.let(out.name, emit.emit(out, flatIndex(out.type.shape, rowPlace(kernel), emit.scope), 1)));
  }
}
