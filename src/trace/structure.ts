/** @file Decides whether two functions differ only in names and source lines. */

import { printFunc } from '../ir/print.ts';
import type { Func, Op, Value } from '../ir/types.ts';

/**
 * The function's text with its values numbered; functions with equal texts can be one. Scalars keep their names, by which a step sets their
 * values. `mask` may hide what should not count.
 */
export function structureKey(func: Func, mask: (op: Op) => Op = (op) => op): string {
  const numbered = new Map<Value, Value>();
  const number = (v: Value): Value => {
    const copy: Value = { name: `#${numbered.size}`, type: v.type };
    numbered.set(v, copy);
    return copy;
  };
  const known = (v: Value): Value => numbered.get(v) ?? v;
  const params = func.params.map((p) => (p.role === 'scalar' ? p : { ...p, value: number(p.value) }));
  const ops = func.ops.map((op): Op => ({ ...mask(op), operands: op.operands.map(known), results: op.results.map(number) }));
  return printFunc({ name: '', params, ops, results: func.results.map((r) => ({ ...r, value: known(r.value) })) });
}
