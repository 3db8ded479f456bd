/** @file What computing a value again would cost. */

import { opDef } from '../../ir/ops/index.ts';
import type { Op, Value } from '../../ir/types.ts';

/** FLOPs an element above which a value is computed once and stored rather than at each of its readers. */
export const RECOMPUTE_LIMIT = 20;

/** FLOPs an element of everything behind `v` up to where `stop` holds; `seen` is counted once. */
export function treeFlops(v: Value, producer: ReadonlyMap<Value, Op>, stop: (v: Value) => boolean, seen = new Set<Value>()): number {
  if (stop(v) || seen.has(v)) return 0;
  seen.add(v);
  const op = producer.get(v);
  if (!op) return 0;
  const { kind, perElement = 1 } = opDef(op.name);
  const own = kind === 'pointwise' ? perElement : 0;
  return op.operands.reduce((sum, o) => sum + treeFlops(o, producer, stop, seen), own);
}
