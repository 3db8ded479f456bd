/** @file Step 4 of `fuse`: decides what leaves a group that binds too many buffers, or that writes more than it needs to. */

import { aliasOf, isSource } from '../../ir/ops/index.ts';
import type { Func, Op, Value } from '../../ir/types.ts';
import { isDot, isPlainSum } from './dots.ts';
import { type Clustering, type Draft, type Exclusions, type FuseOptions, storageOf } from './types.ts';

/** Excludes from group `g`, which is over the limit, the op that joined it last, or else a value that it computes inline. False if it has neither. */
export function exclude(g: Draft, exclusions: Exclusions, producer: ReadonlyMap<Value, Op>, members: ReadonlySet<Op>): boolean {
  const joined = [...members].filter((op) => op !== g.anchor && !exclusions.unjoined.has(op)).at(-1);
  if (joined) {
    exclusions.unjoined.add(joined);
    return true;
  }
  const inner = g.ops
    .flatMap((op) => op.operands)
    .find((v) => {
      const op = producer.get(v);
      return op && g.ops.includes(op) && !isSource(op) && !aliasOf(op) && v.type.shape.length > 0 && !exclusions.buffered.has(v);
    });
  if (!inner) return false;
  exclusions.buffered.add(inner);
  return true;
}

/**
 * Ops of dot groups that should leave, since all groups that read their results could compute these while loading. Storing a dot's own result
 * once is less traffic than storing two or more values that are computed from it.
 */
export function needlessOutputs(func: Func, groups: readonly Draft[], { clusters }: Clustering, producer: ReadonlyMap<Value, Op>): Op[] {
  const results = new Set(func.results.map((r) => storageOf(r.value, producer)));
  return groups.flatMap((g) => {
    if (g.kind !== 'dot') return [];
    const readers = (v: Value): readonly Draft[] => groups.filter((h) => h !== g && h.reads.includes(v));
    const idle = g.outputs.filter(
      (v) => !madeByDot(v, producer) && !results.has(v) && readers(v).every((h) => h.kind !== 'kernel' && !(h.kind === 'dot' && behindAnchor(h, v, producer))),
    );
    const anchorStored = g.outputs.some((v) => madeByDot(v, producer));
    if (idle.length + (anchorStored ? 1 : 0) < 2) return [];
    const members = clusters.find((p) => p.anchor === g.anchor)?.members ?? new Set<Op>();
    const behind = new Set(idle);
    // Ops that only feed those leave with them.
    const leaving = [...members].reverse().filter((op) => {
      if (op.results.some((r) => madeByDot(r, producer))) return false;
      const users = [...members].filter((m) => m.operands.some((v) => op.results.includes(v)));
      const goes = op.results.some((r) => behind.has(r)) && users.every((u) => u.results.some((r) => behind.has(r)));
      const feeds = users.length > 0 && !g.outputs.some((v) => op.results.includes(v)) && users.every((u) => u.results.some((r) => behind.has(r)));
      if (goes || feeds) for (const r of op.results) behind.add(r);
      return goes || feeds;
    });
    return leaving;
  });
}

/** Whether a kernel accumulates `v`: the result of a dot, or a sum of such results. */
function madeByDot(v: Value, producer: ReadonlyMap<Value, Op>): boolean {
  const op = producer.get(v);
  return op !== undefined && (isDot(op) || (isPlainSum(op) && op.operands.every((o) => madeByDot(o, producer))));
}

/** Whether a dot group reads `v` for its dot rather than in its epilogue. */
function behindAnchor(g: Draft, v: Value, producer: ReadonlyMap<Value, Op>): boolean {
  const reach = (o: Value): boolean => {
    if (o === v) return true;
    const op = producer.get(o);
    return op !== undefined && g.ops.includes(op) && op.operands.some(reach);
  };
  return g.ops.filter(isDot).some((op) => op.operands.some(reach));
}

/** How many storage buffers a group binds. Run-time scalars take none, since they come in the uniform block. */
export function bindings(g: Pick<Draft, 'reads' | 'outputs'>, scalars: ReadonlySet<Value>, parts: FuseOptions['parts']): number {
  return [...g.reads.filter((v) => !scalars.has(v)), ...g.outputs].reduce((n, v) => n + (parts?.(v) ?? 1), 0);
}
