/** @file Step 3 of `fuse`: groups with what they read, compute inline and write, in an order that respects their dependencies. */

import { opDef } from '../../ir/ops/index.ts';
import { type Func, type Op, type Shape, sameShape, type Value } from '../../ir/types.ts';
import { bindings } from './limits.ts';
import { type Draft, type FuseOptions, type GroupKind, type Plan, storageOf } from './types.ts';

/** Step 3: groups with what they read, compute inline and write, in an order that respects their dependencies. */
export function drafts(func: Func, producer: ReadonlyMap<Value, Op>, { groups, home }: Plan, buffered: ReadonlySet<Value>): Draft[] {
  const position = new Map(func.ops.map((op, i) => [op, i]));
  const isParam = new Set(func.params.map((p) => p.value));
  const all: { kind: GroupKind; space: Shape; anchor: Op; members: ReadonlySet<Op> }[] = [
    ...groups,
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
  for (const { value } of func.results) readSomewhere.add(storageOf(value, producer));
  // a reshaped result inside a group is its storage under another shape
  const drafted = made.map((g): Draft => ({ ...g, outputs: [...new Set([...g.members].flatMap((op) => op.results).filter((r) => readSomewhere.has(r)))] }));
  return schedule(
    drafted.filter((g) => g.outputs.length > 0),
    position,
  );
}

/** Dependencies first; otherwise in the order of the source. */
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

/** Map groups over one space become one kernel with several outputs, unless one reads another's result elsewhere than at its own element. */
export function mergeMaps(groups: readonly Draft[], { maxBuffers, parts, position, scalars }: MergeContext): Draft[] {
  const out: Draft[] = [];
  for (const g of groups) {
    const host = g.kind === 'map' ? out.findIndex((h) => h.kind === 'map' && sameShape(h.space, g.space)) : -1;
    const other = out[host];
    if (other) {
      const between = new Set(out.slice(host + 1).flatMap((h) => h.outputs));
      const own = g.reads.filter((v) => other.outputs.includes(v));
      const reads = [...new Set([...other.reads, ...g.reads.filter((v) => !own.includes(v))])];
      if (
        !g.reads.some((v) => between.has(v)) &&
        own.every((v) => elementwiseIn(v, g)) &&
        bindings({ reads, outputs: [...other.outputs, ...g.outputs] }, scalars, parts) <= maxBuffers
      ) {
        const ops = [...new Set([...other.ops, ...g.ops])].sort((a, b) => (position.get(a) ?? 0) - (position.get(b) ?? 0));
        out[host] = { ...other, ops, reads, outputs: [...other.outputs, ...g.outputs] };
        continue;
      }
    }
    out.push(g);
  }
  return out;
}

/** `v` is read in the group only by pointwise ops of its own shape (reductions over rows read before they write). */
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
