/** @file `absorb` merges an op with the only op that reads its first result, if the op's `absorbs` can do that (attention's gradients absorb `rope`). */

import { opDef } from '../ir/ops/index.ts';
import type { Func, Op, Value } from '../ir/types.ts';

/** Returns `func` with each op merged with the reader that it can absorb. */
export function absorb(func: Func): Func {
  const readers = new Map<Value, readonly (Op | null)[]>();
  const note = (v: Value, reader: Op | null): void => void readers.set(v, [...(readers.get(v) ?? []), reader]);
  for (const op of func.ops) for (const v of op.operands) note(v, op);
  for (const { value } of func.results) note(value, null);
  const known = new Set(func.params.map((p) => p.value));
  const gone = new Set<Op>();
  const ops = func.ops.flatMap((op) => {
    if (gone.has(op)) return [];
    for (const r of op.results) known.add(r);
    const [x] = op.results;
    const [reader, ...others] = (x && readers.get(x)) ?? [];
    const whole = reader && others.length === 0 ? opDef(op.name).absorbs?.(op, reader, known) : null;
    if (!reader || !whole) return [op];
    gone.add(reader);
    return [whole];
  });
  return { ...func, ops };
}
