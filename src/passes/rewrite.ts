/** @file Rebuilding a function op by op: the one loop under every rewriting pass. */

import { type FuncBuilder, funcBuilder, nameScope } from '../ir/builder.ts';
import type { Func, Op, Value } from '../ir/types.ts';

/** Replacement of an op's results, or null to keep the op. Operands are given as rebuilt. */
export type Rule = (b: FuncBuilder, op: Op, operands: readonly Value[]) => readonly Value[] | null;

/** Values of `func` under other names, as far as these are free. */
function renamed(func: Func, names: ReadonlyMap<Value, string>): Func {
  if (names.size === 0) return func;
  const scope = nameScope();
  const now = new Map<Value, Value>();
  const rename = (v: Value): Value => {
    const copy: Value = { ...v, name: scope.unique(names.get(v) ?? v.name) };
    now.set(v, copy);
    return copy;
  };
  const read = (v: Value): Value => now.get(v) ?? v;
  return {
    name: func.name,
    params: func.params.map((p) => ({ ...p, value: rename(p.value) })),
    ops: func.ops.map((op) => ({ ...op, operands: op.operands.map(read), results: op.results.map(rename) })),
    results: func.results.map((r) => ({ ...r, value: read(r.value) })),
  };
}

/** `func` with `rule` applied to each op in order; names and source lines stay, also on what takes the place of an op. */
export function rewrite(func: Func, rule: Rule): Func {
  const scope = nameScope();
  const b = funcBuilder(scope);
  const mapping = new Map<Value, Value>();
  const names = new Map<Value, string>();
  for (const { value, role } of func.params) mapping.set(value, b.param(value.name, value.type, role));
  for (const op of func.ops) {
    const operands = op.operands.map((v) => mapping.get(v) ?? v);
    b.at(op.results[0]?.loc);
    const from = b.added.length;
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
    op.results.forEach((r, i) => {
      const v = replaced[i];
      if (!v) return;
      mapping.set(r, v);
      if (v.name !== r.name && b.added.slice(from).some((o) => o.results.includes(v))) names.set(v, r.name);
    });
  }
  const rebuilt = b.finish(
    func.name,
    func.results.map((r) => ({ ...r, value: mapping.get(r.value) ?? r.value })),
  );
  return renamed(rebuilt, names);
}
