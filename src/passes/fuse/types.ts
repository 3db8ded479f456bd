/** @file What the steps of `fuse` hand on: groups of ops around an anchor, then drafts with what they read and write. */

import { aliasOf } from '../../ir/ops/index.ts';
import { productKey } from '../../ir/ops/structural.ts';
import type { Func, Op, Shape, Value } from '../../ir/types.ts';

export type GroupKind = 'map' | 'row' | 'column' | 'dot' | 'kernel';

export interface FuseOptions {
  /** Storage buffers a kernel may bind (WebGPU's default limit is 8). */
  readonly maxBuffers: number;
  /** Bindings of a value, more than one where it is larger than a binding may be. Default: one. */
  readonly parts?: (value: Value) => number;
  /** Stored weights of at most so many f32 bytes are widened into scratch once a dot, not in each of its tiles. */
  readonly widenOnce?: number;
}

export interface Cluster {
  readonly kind: GroupKind;
  readonly anchor: Op;
  readonly order: number;
  /** Shape of one row-major pass over the group's elements; a row group's last axis is the reduced one. */
  readonly space: Shape;
  readonly members: Set<Op>;
}

export interface Clustering {
  readonly clusters: readonly Cluster[];
  readonly home: ReadonlyMap<Value, Cluster>;
}

/** Ops that one round found to overflow the binding limit. */
export interface Exclusions {
  readonly unjoined: Set<Op>;
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

/** Through reshapes to the value that owns the bytes. */
export function storageOf(v: Value, producer: ReadonlyMap<Value, Op>): Value {
  const op = producer.get(v);
  const of = op && aliasOf(op);
  return of ? storageOf(of, producer) : v;
}

export const isFull = (op: Op): boolean => {
  const axes = op.attrs['axes'] as readonly number[];
  const shape = op.operands[0]?.type.shape ?? [];
  return shape.every((d, i) => d === 1 || axes.includes(i)) && !(axes.length === 1 && axes[0] === shape.length - 1);
};
