/** @file The cost of computing a value again. */

import { opDef } from '../../ir/ops/index.ts';
import type { Op, Value } from '../../ir/types.ts';

/** From this many FLOPs per element on, a value is computed once and stored rather than computed by each of its readers. */
export const RECOMPUTE_LIMIT = 20;

/** FLOPs per element to compute `v` from values for which `stop` holds. Values in `seen` are not counted again. */
export function treeFlops(v: Value, producer: ReadonlyMap<Value, Op>, stop: (v: Value) => boolean, seen = new Set<Value>()): number {
  if (stop(v) || seen.has(v)) return 0;
  seen.add(v);
  const op = producer.get(v);
  if (!op) return 0;
  const { kind, perElement = 1 } = opDef(op.name);
  const own = kind === 'pointwise' ? perElement : 0;
  return op.operands.reduce((sum, o) => sum + treeFlops(o, producer, stop, seen), own);
}
