/** @file `expand` decomposes composites into primitives. `simplify` merges equal ops and drops unread ones. */

import type { FuncBuilder } from '../ir/define.ts';
import { checkDecomposition } from '../ir/derive.ts';
import { isBuiltIn, opDef } from '../ir/ops/index.ts';
import { constantOf } from '../ir/ops/structural.ts';
import type { Func, Op, Value } from '../ir/types.ts';
import { rewrite } from './rewrite.ts';

/** Adds the decomposition of an op to `b`, with the ops in it decomposed in turn, as far as `which` allows; null if the op stays. */
function decomposed(b: FuncBuilder, op: Op, operands: readonly Value[], which: (name: string) => boolean): readonly Value[] | null {
  const def = opDef(op.name);
  if (!def.decompose || !which(op.name)) return null;
  const before = b.added.length;
  const results = def.decompose(expanding(b, which), operands, op.attrs);
  if (!isBuiltIn(op.name)) {
    const made = b.added.slice(before);
    const known = (v: Value): boolean => b.added.some((other) => other.results.includes(v));
    checkDecomposition(op.name, { operands, made, results, known }, op.results.length > 0 ? op.results.map((r) => r.type) : undefined);
  }
  return results;
}

/** A builder that decomposes the ops that are added to it, as far as `which` allows. */
function expanding(b: FuncBuilder, which: (name: string) => boolean): FuncBuilder {
  const ops: FuncBuilder['ops'] = (name, operands, attrs = {}, names = []) =>
    decomposed(b, { name, operands, attrs, results: [] }, operands, which) ?? b.ops(name, operands, attrs, names);
  return {
    ...b,
    ops,
    op: (name, operands, attrs = {}, hint) => {
      const [first] = ops(name, operands, attrs, hint === undefined ? [] : [hint]);
      if (!first) throw new Error(`${name} has no result`);
      return first;
    },
  };
}

const isComposite = (name: string): boolean => opDef(name).kind === 'composite';

/** Decomposes the composites that have no derivative of their own, which `grad` cannot read. */
export function expandForGrad(func: Func): Func {
  return rewrite(func, (b, op, operands) => decomposed(b, op, operands, (name) => isComposite(name) && !opDef(name).vjp));
}

/** Decomposes all composites; ops with kernels of their own stay. */
export function expand(func: Func): Func {
  return rewrite(func, (b, op, operands) => decomposed(b, op, operands, isComposite));
}

/** Drops ops whose results nothing reads. */
export function eliminateDead(func: Func): Func {
  const live = new Set(func.results.map((r) => r.value));
  const kept: Op[] = [];
  for (const op of [...func.ops].reverse()) {
    if (!op.results.some((r) => live.has(r))) continue;
    for (const v of op.operands) live.add(v);
    kept.push(op);
  }
  return { ...func, ops: kept.reverse() };
}

/** Merges equal ops, and drops no-ops and dead ops. */
export function simplify(func: Func): Func {
  const seen = new Map<string, readonly Value[]>();
  const ids = new Map<Value, number>();
  const numbers = new Map<Value, number>();
  const numberOf = (v: Value): number | null => numbers.get(v) ?? null;
  const id = (v: Value): number => {
    const known = ids.get(v);
    if (known !== undefined) return known;
    ids.set(v, ids.size);
    return ids.size - 1;
  };
  const merged = rewrite(func, (b, op, operands) => {
    const { identity, effects } = opDef(op.name);
    const [out] = op.results;
    const same = out && identity?.(operands, out.type, op.attrs, numberOf);
    if (same) return [same];
    const key = `${op.name}(${operands.map(id).join(',')})${JSON.stringify(op.attrs)}`;
    const known = seen.get(key);
    if (known) return known;
    const made = b.raw({ name: op.name, operands, attrs: op.attrs, types: op.results.map((r) => r.type), names: op.results.map((r) => r.name) });
    const number = constantOf(op);
    if (number !== null && made[0]) numbers.set(made[0], number);
    if (effects === null || effects === 'accumulates') seen.set(key, made);
    return made;
  });
  return eliminateDead(merged);
}
