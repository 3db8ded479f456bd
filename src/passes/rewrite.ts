/** @file Rebuilds a function op by op. All passes that rewrite ops use this loop. */

import { funcBuilder, nameScope } from '../ir/builder.ts';
import type { FuncBuilder } from '../ir/define.ts';
import type { Func, Op, Value } from '../ir/types.ts';
import { renameValues } from './rename.ts';

/** Returns the values that replace the op's results, or null to keep the op. `operands` are the op's operands in the rebuilt function. */
export type Rule = (b: FuncBuilder, op: Op, operands: readonly Value[]) => readonly Value[] | null;

/** Applies `rule` to each op of `func` in order. Names and source lines stay. */
export function rewrite(func: Func, rule: Rule): Func {
  const scope = nameScope();
  const b = funcBuilder(scope);
  const mapping = new Map<Value, Value>();
  // A value that replaces another takes its name.
  const names = new Map<Value, string>();
  for (const { value, role } of func.params) mapping.set(value, b.param(value.name, value.type, role));
  for (const op of func.ops) {
    const operands = op.operands.map((v) => mapping.get(v) ?? v);
    b.at(op.results[0]?.loc);
    const before = b.added.length;
    const replaced =
      rule(b, op, operands) ??
      b.raw({
        name: op.name,
        operands,
        attrs: op.attrs,
        types: op.results.map((r) => r.type),
        names: op.results.map((r) => r.name),
        ...(op.body ? { body: op.body } : {}),
      });
    const made = new Set(b.added.slice(before).flatMap((o) => o.results));
    op.results.forEach((r, i) => {
      const v = replaced[i];
      if (!v) return;
      mapping.set(r, v);
      if (made.has(v)) names.set(v, r.name);
    });
  }
  const rebuilt = b.finish(
    func.name,
    func.results.map((r) => ({ ...r, value: mapping.get(r.value) ?? r.value })),
  );
  return renameValues(rebuilt, names);
}
