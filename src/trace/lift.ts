/** @file Merges functions that differ only in the values of their constants. Constants that differ become run-time scalars of the calls. */

import { constantOf } from '../ir/ops/structural.ts';
import type { Func, Op, Value } from '../ir/types.ts';
import { structureKey } from './structure.ts';

/** Functions that are merged into one. */
export interface MergedFunctions {
  /** The first of them, with parameters `lifted0`, `lifted1`, … in place of the constants that differ. */
  readonly func: Func;
  /** Indices of the lifted constants in the `ops` of each merged function. */
  readonly lifted: readonly number[];
}

const liftable = (op: Op): boolean => constantOf(op) !== null && ['f32', 'i32'].includes(String(op.attrs['dtype']));
const masked = (func: Func): string => structureKey(func, (op) => (liftable(op) ? { ...op, attrs: { ...op.attrs, value: 0 } } : op));

/** For each function, the function that it is merged into with all others that equal it but for the values of constants. */
export function mergedFunctions(funcs: readonly Func[]): MergedFunctions[] {
  const members = new Map<string, Func[]>();
  const keys = funcs.map(masked);
  funcs.forEach((func, i) => {
    const known = members.get(keys[i] ?? '');
    if (known) known.push(func);
    else members.set(keys[i] ?? '', [func]);
  });
  const merged = new Map([...members].map(([key, equal]): [string, MergedFunctions] => [key, merge(equal)]));
  return keys.flatMap((key) => merged.get(key) ?? []);
}

/** The values that one of the merged functions has for the lifted constants. */
export function liftedValues(func: Func, { lifted }: MergedFunctions): readonly number[] {
  return lifted.map((at) => Number(func.ops[at]?.attrs['value']));
}

function merge(members: readonly Func[]): MergedFunctions {
  const [first] = members as readonly [Func, ...Func[]];
  const lifted = first.ops.flatMap((op, at) => (liftable(op) && members.some((f) => f.ops[at]?.attrs['value'] !== op.attrs['value']) ? [at] : []));
  if (lifted.length === 0) return { func: first, lifted };
  const replaced = new Map<Value, Value>();
  lifted.forEach((at, n) => {
    const [constant] = first.ops[at]?.results ?? [];
    if (constant) replaced.set(constant, { ...constant, name: `lifted${n}` });
  });
  const swap = (v: Value): Value => replaced.get(v) ?? v;
  const func: Func = {
    ...first,
    params: [...first.params, ...[...replaced.values()].map((value) => ({ value, role: 'scalar' as const }))],
    ops: first.ops.filter((_, at) => !lifted.includes(at)).map((op) => ({ ...op, operands: op.operands.map(swap) })),
    results: first.results.map((r) => ({ ...r, value: swap(r.value) })),
  };
  return { func, lifted };
}
