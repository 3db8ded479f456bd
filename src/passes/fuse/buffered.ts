/** @file Step 2 of `fuse`: finds the values outside of clusters that must lie in a buffer. */

import { aliasOf, isSource, opDef } from '../../ir/ops/index.ts';
import type { Func, Op, Value } from '../../ir/types.ts';
import { RECOMPUTE_LIMIT, treeFlops } from './cost.ts';
import { type Clustering, type Exclusions, storageOf } from './types.ts';

const isSourceOp = (op: Op | undefined): boolean => op !== undefined && isSource(op);
const isAlias = (op: Op | undefined): boolean => op !== undefined && aliasOf(op) !== null;

/** Whether only moves, widening and scaling by a scalar make `v`, up to where `stop` holds: a dot's loads can repeat those for every tile. */
function cheapInDot(v: Value, producer: ReadonlyMap<Value, Op>, stop: (v: Value) => boolean, widenOnce: number): boolean {
  if (stop(v)) return true;
  const op = producer.get(v);
  if (!op) return true;
  const { widens = false, inLoads } = opDef(op.name);
  if (widens && 4 * v.type.shape.reduce<number>((p, d) => p * Number(d), 1) <= widenOnce) return false;
  const isCheap = inLoads === 'always' || (inLoads === 'with a scalar' && op.operands.some((o) => o.type.shape.length === 0));
  return isCheap && op.operands.every((o) => cheapInDot(o, producer, stop, widenOnce));
}

/**
 * Values outside of clusters that must lie in a buffer: results, operands of kernel ops, operands of dots that loads cannot repeat, and costly
 * values that several groups read. `widenOnce` is as in `FuseOptions`.
 */
export function bufferedValues(func: Func, producer: ReadonlyMap<Value, Op>, { home }: Clustering, { buffered }: Exclusions, widenOnce: number): Set<Value> {
  const out = new Set<Value>(buffered);
  const isParam = new Set(func.params.map((p) => p.value));
  const free = (v: Value): boolean => !home.has(v) && !isParam.has(v) && !isSourceOp(producer.get(v));
  for (const { value } of func.results) {
    const owner = storageOf(value, producer);
    if (!home.has(owner) && !isParam.has(owner)) out.add(owner);
  }
  const stop = (v: Value): boolean => home.has(v) || isParam.has(v) || out.has(v);
  for (const op of func.ops) {
    const { kind } = opDef(op.name);
    if (kind === 'kernel')
      for (const v of op.operands) {
        const owner = storageOf(v, producer);
        if (free(owner)) out.add(owner);
      }
    if (kind === 'dot') for (const v of op.operands) if (free(v) && !cheapInDot(v, producer, stop, widenOnce)) out.add(storageOf(v, producer));
  }
  const readers = new Map<Value, Set<object>>();
  const note = (v: Value, reader: object): void => {
    if (!free(v)) return;
    const set = readers.get(v) ?? new Set<object>();
    if (set.has(reader)) return;
    set.add(reader);
    readers.set(v, set);
    if (!out.has(v)) for (const o of producer.get(v)?.operands ?? []) note(o, reader);
  };
  for (const op of func.ops)
    for (const v of op.operands) {
      const reader = op.results[0] && (home.get(op.results[0]) ?? (out.has(op.results[0]) ? op : null));
      if (reader) note(v, reader);
    }
  for (const [v, set] of readers) {
    if (set.size > 1 && v.type.shape.length > 0 && !isAlias(producer.get(v)) && treeFlops(v, producer, (o) => o !== v && stop(o)) >= RECOMPUTE_LIMIT)
      out.add(v);
  }
  return out;
}
