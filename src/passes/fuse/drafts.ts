/** @file Step 3 of `fuse`: drafts of groups, which say what each reads, computes and writes, ordered by their dependencies. */

import { opDef } from '../../ir/ops/index.ts';
import { type Func, type Op, type Shape, sameShape, type Value } from '../../ir/types.ts';
import { bindings } from './limits.ts';
import { type Clustering, type Draft, type FuseOptions, type GroupKind, product, storageOf } from './types.ts';

/** Drafts a group for each cluster and each buffered value, in an order that respects their dependencies. Groups that write nothing are left out. */
export function drafts(func: Func, producer: ReadonlyMap<Value, Op>, { clusters, home }: Clustering, buffered: ReadonlySet<Value>): Draft[] {
  const position = new Map(func.ops.map((op, i) => [op, i]));
  const isParam = new Set(func.params.map((p) => p.value));
  const all: { kind: GroupKind; space: Shape; anchor: Op; members: ReadonlySet<Op> }[] = [
    ...clusters,
    ...[...buffered].flatMap((v) => {
      const op = producer.get(v);
      return op ? [{ kind: 'map' as const, space: v.type.shape, anchor: op, members: new Set([op]) }] : [];
    }),
  ];
  const made = all.map(({ kind, space, anchor, members }) => {
    const inlined = new Set<Op>();
    const reads = new Set<Value>();
    const visit = (v: Value): void => {
      const op = producer.get(v);
      const owner = storageOf(v, producer);
      if (isParam.has(v) || !op) reads.add(v);
      else if (members.has(op)) return;
      else if (home.has(v) || buffered.has(v)) reads.add(v);
      else if (kind === 'kernel' && owner !== v) {
        inlined.add(op);
        for (const o of op.operands) visit(o);
      } else if (!inlined.has(op)) {
        inlined.add(op);
        for (const o of op.operands) visit(o);
      }
    };
    for (const op of members) for (const v of op.operands) visit(v);
    return { kind, space, anchor, members, ops: [...members, ...inlined].sort((a, b) => (position.get(a) ?? 0) - (position.get(b) ?? 0)), reads: [...reads] };
  });
  const readSomewhere = new Set(made.flatMap((g) => g.reads));
  // A result may be a reshape of the value that a group writes.
  for (const { value } of func.results) readSomewhere.add(storageOf(value, producer));
  const drafted = made.map((g): Draft => ({ ...g, outputs: [...new Set([...g.members].flatMap((op) => op.results).filter((r) => readSomewhere.has(r)))] }));
  return schedule(
    drafted.filter((g) => g.outputs.length > 0),
    position,
  );
}

/** Orders groups so that each follows those that it depends on; otherwise they stay in the order of the source. */
function schedule(groups: readonly Draft[], position: ReadonlyMap<Op, number>): Draft[] {
  const writer = new Map(groups.flatMap((g) => g.outputs.map((v): [Value, Draft] => [v, g])));
  const done = new Set<Draft>();
  const out: Draft[] = [];
  const visit = (g: Draft): void => {
    if (done.has(g)) return;
    done.add(g);
    for (const v of g.reads) {
      const w = writer.get(v);
      if (w && w !== g) visit(w);
    }
    out.push(g);
  };
  for (const g of [...groups].sort((a, b) => (position.get(a.anchor) ?? 0) - (position.get(b.anchor) ?? 0))) visit(g);
  return out;
}

export interface MergeContext extends Pick<FuseOptions, 'maxBuffers' | 'parts'> {
  readonly position: ReadonlyMap<Op, number>;
  /** Parameters that come in the uniform block. */
  readonly scalars: ReadonlySet<Value>;
}

/**
 * Merges map groups over one space into one kernel with several outputs, unless one reads another's result elsewhere than at its own element.
 * A map group that the stores of a dot can compute with an op or two more is merged with the dot.
 */
export function mergeMaps(groups: readonly Draft[], context: MergeContext): Draft[] {
  const out: Draft[] = [];
  for (const g of groups) {
    if (g.kind === 'dot') {
      const at = out.findIndex((m, i) => absorbs(g, m, out.slice(i + 1), context));
      const [map] = at < 0 ? [] : out.splice(at, 1);
      out.push(map ? merged(map, g, context) : g);
      continue;
    }
    const host = g.kind === 'map' ? out.findIndex((h) => h.kind === 'map' && sameShape(h.space, g.space)) : -1;
    const other = out[host];
    if (!other || !fitsTogether(other, g, context)) {
      out.push(g);
      continue;
    }
    const between = out.slice(host + 1);
    const made = new Set(between.flatMap((h) => h.outputs));
    if (!g.reads.some((v) => made.has(v))) out[host] = merged(other, g, context);
    else if (!between.some((h) => h.reads.some((v) => other.outputs.includes(v)))) {
      // Nothing between them reads the earlier group, so it can run here.
      out.splice(host, 1);
      out.push(merged(other, g, context));
    } else out.push(g);
  }
  return out;
}

/** Merges two groups. A value that the first writes and the second reads is no longer read from a buffer, but still written. */
function merged(first: Draft, second: Draft, { position }: MergeContext): Draft {
  const ops = [...new Set([...first.ops, ...second.ops])].sort((a, b) => (position.get(a) ?? 0) - (position.get(b) ?? 0));
  const reads = [...new Set([...first.reads, ...second.reads.filter((v) => !first.outputs.includes(v))])];
  return { ...(second.kind === 'dot' ? second : first), ops, reads, outputs: [...first.outputs, ...second.outputs] };
}

function fitsTogether(first: Draft, second: Draft, context: MergeContext): boolean {
  const own = second.reads.filter((v) => first.outputs.includes(v));
  return own.every((v) => elementwiseIn(v, second)) && bindings(merged(first, second, context), context.scalars, context.parts) <= context.maxBuffers;
}

/** Most ops that a dot's stores compute in addition, for a map group that reads nothing else. */
const ABSORBED_OPS = 2;

/** Whether the stores of a later dot can compute a map group, which neither that dot nor a group between them reads. */
function absorbs(dot: Draft, map: Draft, between: readonly Draft[], context: MergeContext): boolean {
  if (map.kind !== 'map' || product(map.space) !== product(dot.space)) return false;
  const more = map.ops.filter((op) => !dot.ops.includes(op));
  return (
    more.length <= ABSORBED_OPS &&
    more.every((op) => opDef(op.name).kind === 'pointwise' && op.results.every((r) => sameShape(r.type.shape, map.space))) &&
    map.reads.every((v) => dot.reads.includes(v)) &&
    ![dot, ...between].some((h) => h.reads.some((v) => map.outputs.includes(v))) &&
    bindings(merged(map, dot, context), context.scalars, context.parts) <= context.maxBuffers
  );
}

/** Whether only pointwise ops of its own shape read `v` in the group. Reductions over rows may read it too, since they read before anything is written. */
export function elementwiseIn(v: Value, g: { readonly kind: string; readonly ops: readonly Op[] }): boolean {
  const tainted = new Set<Value>([v]);
  for (const op of g.ops) {
    if (!op.operands.some((o) => tainted.has(o))) continue;
    const { kind } = opDef(op.name);
    if (kind === 'reduce' && g.kind === 'row') continue;
    if (kind !== 'pointwise') return false;
    const [out] = op.results;
    if (!out || !sameShape(out.type.shape, v.type.shape)) return false;
    tainted.add(out);
  }
  return true;
}
