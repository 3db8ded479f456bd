/** @file What a group computes, as formulas: a value that is read once stands where it is read, and the others have a formula each. */

import { findOp } from '../../ir/ops/index.ts';
import { constantOf } from '../../ir/ops/structural.ts';
import { termText } from '../../ir/print.ts';
import type { Op, Value } from '../../ir/types.ts';
import { groupOf } from '../kernel/lower/group.ts';

/** The longest term that stands where its value is read. */
const LONGEST = 70;

/** How often ops read each value. */
function readsOf(ops: readonly Op[]): ReadonlyMap<Value, number> {
  const counts = new Map<Value, number>();
  for (const v of ops.flatMap((op) => op.operands)) counts.set(v, (counts.get(v) ?? 0) + 1);
  return counts;
}

/** Returns the formulas of a group, `name = term`, in the order in which they are computed. */
export function formulasOf(group: Op): readonly string[] {
  const { ops, outputs } = groupOf(group);
  const reads = readsOf(ops);
  const terms = new Map<Value, { readonly text: string; readonly signed: boolean }>();
  const spell = (v: Value, beside: boolean): string => {
    const { text, signed } = terms.get(v) ?? { text: v.name, signed: false };
    return beside && signed ? `(${text})` : text;
  };
  return ops.flatMap((op): string[] => {
    const [first, ...others] = op.results;
    const constant = constantOf(op);
    const term = constant === null ? termText(op, spell) : String(constant);
    const isInner = first !== undefined && others.length === 0 && !outputs.includes(first) && reads.get(first) === 1 && term.length <= LONGEST;
    if (first === undefined || !(isInner || constant !== null)) return [`${op.results.map(({ name }) => name).join(', ')} = ${term}`];
    terms.set(first, { text: term, signed: findOp(op.name)?.sign !== undefined });
    return [];
  });
}
