/** @file Step 1 of `fuse`: anchors start clusters; pointwise ops, and reductions of the same rows, join them. */

import { aliasOf, isSource, kindOf, opDef } from '../../ir/ops/index.ts';
import { type Func, type Op, type Shape, sameShape, type Value } from '../../ir/types.ts';
import { RECOMPUTE_LIMIT, treeFlops } from './cost.ts';
import { jointHost, sumOfDots } from './dots.ts';
import { type Cluster, type Clustering, type Exclusions, type GroupKind, isFull, product } from './types.ts';

const isRowScalar = (shape: Shape, space: Shape): boolean => product(shape) === product(space.slice(0, -1));

/** The kind and space of the cluster that a reduction starts: `row` if it reduces the last axis, or all axes (one row), else `column`. */
function reductionSpace(op: Op): { kind: GroupKind; space: Shape } {
  const [x] = op.operands;
  const axes = op.attrs['axes'] as readonly number[];
  const shape = x?.type.shape ?? [];
  const extents = shape.flatMap((d, i) => (d === 1 ? [] : [i]));
  if (axes.length === 1 && axes[0] === shape.length - 1) return { kind: 'row', space: shape };
  if (extents.every((i) => axes.includes(i)))
    return { kind: 'row', space: shape.every((d) => typeof d === 'number') ? [shape.reduce<number>((p, d) => p * Number(d), 1)] : shape };
  return { kind: 'column', space: op.results[0]?.type.shape ?? [] };
}

/** Assigns ops to clusters. Ops in `unjoined` join none. */
export function clusterOps(func: Func, producer: ReadonlyMap<Value, Op>, { unjoined }: Exclusions): Clustering {
  const clusters: Cluster[] = [];
  const readers = readerCounts(func);
  const home = new Map<Value, Cluster>();
  let order = 0;
  const latestMemo = new Map<Value, Cluster | null>();
  const latest = (v: Value): Cluster | null => {
    const own = home.get(v);
    if (own) return own;
    const known = latestMemo.get(v);
    if (known !== undefined) return known;
    let found: Cluster | null = null;
    for (const o of producer.get(v)?.operands ?? []) {
      const g = latest(o);
      if (g && (!found || g.order > found.order)) found = g;
    }
    latestMemo.set(v, found);
    return found;
  };
  const start = (op: Op, kind: GroupKind, space: Shape): void => {
    const cluster: Cluster = { kind, anchor: op, order: order++, space, members: new Set([op]) };
    clusters.push(cluster);
    for (const r of op.results) home.set(r, cluster);
  };
  const join = (op: Op, cluster: Cluster): void => {
    cluster.members.add(op);
    for (const r of op.results) home.set(r, cluster);
  };
  /** Whether each operand is either a value of `cluster` or not computed from one. */
  const aligned = (op: Op, cluster: Cluster): boolean => op.operands.every((v) => home.get(v) === cluster || latest(v) !== cluster);

  for (const op of func.ops) {
    const { kind } = opDef(op.name);
    const [out] = op.results;
    // A reshape copies nothing, so it joins no cluster: readers look through it.
    if (!out || isSource(op) || aliasOf(op)) continue;
    if (kind === 'dot') {
      const host = unjoined.has(op) ? null : jointHost(op, clusters, latest);
      if (host) join(op, host);
      else start(op, 'dot', out.type.shape);
    } else if (kind === 'kernel') start(op, 'kernel', out.type.shape);
    else if (kind === 'reduce') {
      const { kind: groupKind, space } = reductionSpace(op);
      const host = groupKind === 'row' && !unjoined.has(op) ? rowHost(op, space, clusters, latest, home, producer) : null;
      if (host) join(op, host);
      else start(op, groupKind, space);
    } else {
      const sum = unjoined.has(op) ? null : sumOfDots(op, home, readers);
      if (sum) {
        for (const member of sum.from.members) join(member, sum.into);
        clusters.splice(clusters.indexOf(sum.from), 1);
        join(op, sum.into);
        latestMemo.clear();
        continue;
      }
      const cluster = op.operands.map(latest).reduce((a, g) => (g && (!a || g.order > a.order) ? g : a), null);
      if (
        cluster &&
        !unjoined.has(op) &&
        cluster.kind !== 'kernel' &&
        aligned(op, cluster) &&
        joins(op, out, cluster, home) &&
        affordable(op, cluster, producer, home)
      )
        join(op, cluster);
    }
  }
  return { clusters, home };
}

/** How many ops and results of the function read each value. */
function readerCounts(func: Func): Map<Value, number> {
  const counts = new Map<Value, number>();
  for (const v of [...func.ops.flatMap((op) => op.operands), ...func.results.map((r) => r.value)]) counts.set(v, (counts.get(v) ?? 0) + 1);
  return counts;
}

/** Whether the cluster can afford the op. A dot unrolls its stores over a register tile, so ops with costly other operands (random numbers) stay out. */
function affordable(op: Op, cluster: Cluster, producer: ReadonlyMap<Value, Op>, home: ReadonlyMap<Value, Cluster>): boolean {
  if (cluster.kind !== 'dot') return true;
  const seen = new Set<Value>();
  return op.operands.reduce((sum, v) => sum + treeFlops(v, producer, (o) => home.has(o), seen), 0) < RECOMPUTE_LIMIT;
}

/** Whether each element of a pointwise op (in rows also of a broadcast) comes from the same element, or the same row's number, of the cluster. */
function joins(op: Op, out: Value, cluster: Cluster, home: ReadonlyMap<Value, Cluster>): boolean {
  const { kind } = opDef(op.name);
  const inside = op.operands.filter((v) => home.get(v) === cluster);
  if (cluster.kind === 'row') {
    const full = product(out.type.shape) === product(cluster.space) && (isFull(cluster.anchor) || out.type.shape.at(-1) === cluster.space.at(-1));
    const scalar = isFull(cluster.anchor) ? product(out.type.shape) === '1' : isRowScalar(out.type.shape, cluster.space);
    if (!full && !scalar) return false;
    if (opDef(op.name).repeats)
      return full && inside.every((v) => (isFull(cluster.anchor) ? product(v.type.shape) === '1' : isRowScalar(v.type.shape, cluster.space)));
    if (kind !== 'pointwise') return false;
    return inside.every(
      (v) =>
        product(v.type.shape) === product(out.type.shape) ||
        (full &&
          (product(v.type.shape) === '1' ||
            (isRowScalar(v.type.shape, cluster.space) && v.type.shape.at(-1) === 1 && v.type.shape.length === out.type.shape.length))),
    );
  }
  if (product(out.type.shape) !== product(cluster.space)) return false;
  return kind === 'pointwise' && inside.every((v) => product(v.type.shape) === product(out.type.shape));
}

/** The row cluster that a reduction of the same rows can join, or null. */
function rowHost(
  op: Op,
  space: Shape,
  clusters: readonly Cluster[],
  latest: (v: Value) => Cluster | null,
  home: ReadonlyMap<Value, Cluster>,
  producer: ReadonlyMap<Value, Op>,
): Cluster | null {
  const [x] = op.operands;
  if (!x) return null;
  const from = latest(x);
  const fits = (g: Cluster): boolean => g.kind === 'row' && isFull(g.anchor) === isFull(op) && sameShape(g.space, space);
  if (from && fits(from)) return home.get(x) === from || alignedTree(x, from, home, producer, latest) ? from : null;
  const last = clusters.at(-1);
  return last && fits(last) && (!from || from.order < last.order) ? last : null;
}

/** Whether `v` is computed from values of cluster `g` only through pointwise ops and broadcasts outside of clusters. */
function alignedTree(v: Value, g: Cluster, home: ReadonlyMap<Value, Cluster>, producer: ReadonlyMap<Value, Op>, latest: (v: Value) => Cluster | null): boolean {
  if (home.get(v) === g) return true;
  if (latest(v) !== g) return true;
  const op = producer.get(v);
  return (
    op !== undefined && (kindOf(op) === 'pointwise' || opDef(op.name).repeats === true) && op.operands.every((o) => alignedTree(o, g, home, producer, latest))
  );
}
