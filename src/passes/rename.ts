/** @file Renames values. Since a value's identity is the object, the function is rebuilt with new objects. */

import { nameScope } from '../ir/builder.ts';
import type { Func, Value } from '../ir/types.ts';

/** Returns `func` with values called as `names` says; others keep their names. All are made unique, in order. */
export function renameValues(func: Func, names: ReadonlyMap<Value, string>): Func {
  if (names.size === 0) return func;
  const scope = nameScope();
  const replaced = new Map<Value, Value>();
  const keep = (v: Value): Value => {
    const made = { ...v, name: scope.unique(names.get(v) ?? v.name) };
    replaced.set(v, made);
    return made;
  };
  const at = (v: Value): Value => replaced.get(v) ?? v;
  return {
    ...func,
    params: func.params.map((p) => ({ ...p, value: keep(p.value) })),
    ops: func.ops.map((op) => ({ ...op, operands: op.operands.map(at), results: op.results.map(keep) })),
    results: func.results.map((r) => ({ ...r, value: at(r.value) })),
  };
}
