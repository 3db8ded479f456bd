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
import { bindGroup, type Group, gridOf, groupWidth } from './group.ts';
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

export function lowerRow(group: Group, options: LowerOptions): Lowered {
  const reductions = group.ops.filter((op) => kindOf(op) === 'reduce');
  const [anchor] = reductions;
  if (!anchor) throw new Error('row group reduces nothing');
  const { full, rows, width: widthShape } = rowSpace(anchor);
  const isScalar = (v: Value): boolean => productKey(v.type.shape) === productKey(rows);
  const rowOutputs = group.outputs.filter((v) => !isScalar(v));
  const operands = reductions.flatMap((op) => op.operands);
  const staticWidth = widthShape.every((d) => typeof d === 'number') ? widthShape.reduce<number>((p, d) => p * Number(d), 1) : UNKNOWN_WIDTH;
  const vector: Width =
    operands.every((v) => vectorisable(v, group.producer) && Number(v.type.shape.at(-1)) % 4 === 0) &&
    (rowOutputs.length === 0 || groupWidth(group, rowOutputs) === 4)
      ? 4
      : 1;
  const { lanes, subgroup } = rowLanes(options.device, staticWidth / vector);
  const b = kernelBuilder(group.name, [lanes, 1, 1], subgroup ? { subgroups: true, subgroupSize: lanes } : {});
  const { emit, store, storeAll, values } = bindGroup(b, group, options, () => vector === 4);
  const width = b.let('width', productExpr(widthShape, emit.scope));
  const row = b.let('row', b.linearWorkgroup());
  const inRange = full ? eq(row, u32(0)) : lt(row, productExpr(rows, emit.scope));

  const level = levels(group);
  const passes = Math.max(...level.values()) + 1;
  const rowEmitter = emit;
  /** Loops over the row; a lane takes `vector` elements per turn. */
  const overRow = (body: (inner: Emitter, k: Expr) => void): void => {
    const first = b.let('first', mul(builtin('localX'), u32(vector)));
    b.for('k', first, width, u32(lanes * vector), (k) => body(rowEmitter.inner(), k));
  };
  const at = (k: Expr): Expr => (full ? k : add(mul(row, width), k));

  const body = (): void => {
    for (let pass = 0; pass < passes; pass++) {
      const now = reductions.filter((op) => level.get(op) === pass);
      const sums = now.map((op) => {
        const combine = combineOf(op);
        const start = f32(combine.identity);
        return { op, combine, variable: b.var('acc', vector === 4 ? 'vec4f' : 'f32', vector === 4 ? splat('vec4f', start) : start) };
      });
      overRow((inner, k) => {
        const shared = b.let('p', at(k));
        const indices = new Map<string, ReturnType<typeof flatIndex>>();
        for (const { op, combine, variable } of sums) {
          const [x] = op.operands;
          if (!x) continue;
          const key = x.type.shape.join();
          const index = indices.get(key) ?? flatIndex(x.type.shape, shared, inner.scope);
          indices.set(key, index);
          variable.set(combine.expr(variable.get, inner.emit(x, index, vector)));
        }
      });
      for (const { op, combine, variable } of sums) {
        const own = vector === 4 ? horizontal(combine, variable.get) : variable.get;
        const total = acrossLanes(b, combine, own, lanes, subgroup);
        if (op.results[0]) rowEmitter.define(op.results[0], total);
      }
      bindRowScalars(b, group, rowEmitter, isScalar, level, pass, row, full);
    }
    const scalars = group.outputs.filter(isScalar).map((output) => {
      const index = flatIndex(output.type.shape, full ? u32(0) : row, rowEmitter.scope);
      return { output, index, value: rowEmitter.emit(output, index, 1) };
    });
    if (rowOutputs.length > 0) overRow((inner, k) => storeAll(rowOutputs, b.let('p', at(k)), inner, vector));
    // Scalars are stored last, since one may overwrite a scalar that the row reads.
    if (scalars.length > 0)
      b.if(eq(builtin('localX'), u32(0)), () => {
        for (const { output, index, value } of scalars) store(output, index, value, 1);
      });
  };
  // The whole workgroup returns together, so control flow stays uniform at the barriers.
  b.if({ kind: 'un', type: 'bool', op: '!', a: inRange }, () => b.return());
  body();
  return { kernel: b.finish([gridOf(full ? [1] : rows, 1), ONE_GROUP, ONE_GROUP]), values };
}

/** Computes values that are one number per row, and depend only on finished reductions, once and outside of the loops. */
function bindRowScalars(
  b: KernelBuilder,
  group: Group,
  emit: Emitter,
  isScalar: (v: Value) => boolean,
  level: ReadonlyMap<Op, number>,
  pass: number,
  row: Expr,
  full: boolean,
): void {
  const ready = new Map<Value, boolean>();
  for (const op of group.ops) {
    const below = op.operands.every((v) => ready.get(v) ?? !group.producer.has(v));
    const reduction = level.get(op);
    const known = reduction !== undefined ? reduction <= pass : below;
    for (const r of op.results) ready.set(r, known);
    const [out] = op.results;
    const fromReduction = op.operands.some((v) => group.producer.has(v));
    if (!out || reduction !== undefined || !known || !isScalar(out) || !fromReduction || kindOf(op) !== 'pointwise') continue;
    emit.define(out, b.let(out.name, emit.emit(out, flatIndex(out.type.shape, full ? u32(0) : row, emit.scope), 1)));
  }
}
