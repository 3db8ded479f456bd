/** @file `absorb`: an op takes in the one op that reads its first result, where it says that it can (attention's gradients take in `rope`). */

import { opDef } from '../ir/ops/index.ts';
import type { Func, Op, Value } from '../ir/types.ts';

/** Ops of the function, with what they take in. */
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
