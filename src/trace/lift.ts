/** @file Functions that differ in the values of their constants alone become one: what differs is a run-time scalar of the call. */

import type { Func, Op, Value } from '../ir/types.ts';
import { structureKey } from './structure.ts';

export interface Lifted {
  readonly func: Func;
  /** Values of the scalars `lifted0`, `lifted1`, … that were added to its parameters, for this call. */
  readonly values: readonly number[];
}

const liftable = (op: Op): boolean => op.name === 'constant' && op.attrs['dtype'] === 'f32';
const masked = (func: Func): string => structureKey(func, (op) => (liftable(op) ? { ...op, attrs: { ...op.attrs, value: 0 } } : op));

/** For each function of a family (equal but for constants): the constants whose values differ within it become parameters. */
export function liftConstants(funcs: readonly Func[]): Lifted[] {
  const families = new Map<string, Func[]>();
  const keys = funcs.map(masked);
  funcs.forEach((func, i) => {
    const key = keys[i] ?? '';
    families.set(key, [...(families.get(key) ?? []), func]);
  });
  return funcs.map((func, i): Lifted => {
    const family = families.get(keys[i] ?? '') ?? [func];
    const differing = func.ops.flatMap((op, at) => (liftable(op) && family.some((f) => f.ops[at]?.attrs['value'] !== op.attrs['value']) ? [at] : []));
    if (differing.length === 0) return { func, values: [] };
    const replaced = new Map<Value, Value>();
    differing.forEach((at, n) => {
      const [constant] = func.ops[at]?.results ?? [];
      if (constant) replaced.set(constant, { ...constant, name: `lifted${n}` });
    });
    const swap = (v: Value): Value => replaced.get(v) ?? v;
    return {
      func: {
        ...func,
        params: [...func.params, ...[...replaced.values()].map((value) => ({ value, role: 'scalar' as const }))],
        ops: func.ops.filter((_, at) => !differing.includes(at)).map((op) => ({ ...op, operands: op.operands.map(swap) })),
        results: func.results.map((r) => ({ ...r, value: swap(r.value) })),
      },
      values: differing.map((at) => Number(func.ops[at]?.attrs['value'])),
    };
  });
}
