/** @file What the steps of `fuse` pass on: clusters of ops around an anchor, then drafts of groups with what they read and write. */

import { aliasOf } from '../../ir/ops/index.ts';
import { productKey } from '../../ir/ops/structural.ts';
import type { Func, Op, Shape, Value } from '../../ir/types.ts';

export type GroupKind = 'map' | 'row' | 'column' | 'dot' | 'kernel';

export interface FuseOptions {
  /** Storage buffers a kernel may bind (WebGPU's default limit is 8). */
  readonly maxBuffers: number;
  /** How many bindings a value takes: several if it is larger than a binding may be. Default: 1. */
  readonly parts?: (value: Value) => number;
  /** Stored weights that take at most this many bytes as f32 are widened into scratch once per dot, not in each of its tiles. Default: 0. */
  readonly widenOnce?: number;
}

export interface Cluster {
  readonly kind: GroupKind;
  readonly anchor: Op;
  readonly order: number;
  /** Shape of one row-major pass over the cluster's elements; the last axis of a row cluster is the reduced one. */
  readonly space: Shape;
  readonly members: Set<Op>;
}

export interface Clustering {
  readonly clusters: readonly Cluster[];
  readonly home: ReadonlyMap<Value, Cluster>;
}

/** What earlier rounds found to bind too many buffers, or to be written needlessly. */
export interface Exclusions {
  /** Ops that join no cluster. */
  readonly unjoined: Set<Op>;
  /** Values that get a buffer. */
  readonly buffered: Set<Value>;
}

export interface Draft {
  readonly kind: GroupKind;
  readonly space: Shape;
  readonly anchor: Op;
  readonly ops: readonly Op[];
  readonly reads: readonly Value[];
  readonly outputs: readonly Value[];
}

export const product = (shape: Shape): string => productKey(shape);

export function producers(func: Func): Map<Value, Op> {
  return new Map(func.ops.flatMap((op) => op.results.map((r): [Value, Op] => [r, op])));
}

/** The value that owns the bytes of `v`: reshapes copy nothing. */
export function storageOf(v: Value, producer: ReadonlyMap<Value, Op>): Value {
  const op = producer.get(v);
  const of = op && aliasOf(op);
  return of ? storageOf(of, producer) : v;
}

/** Whether a reduction reduces all axes to one number, unless its only axis is the last one. */
export const isFull = (op: Op): boolean => {
  const axes = op.attrs['axes'] as readonly number[];
  const shape = op.operands[0]?.type.shape ?? [];
  return shape.every((d, i) => d === 1 || axes.includes(i)) && !(axes.length === 1 && axes[0] === shape.length - 1);
};
