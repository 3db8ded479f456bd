/** @file Reverse-mode differentiation of one function. A cotangent of null is a symbolic zero, for which no backward is built. */

import { EbbError } from '../errors.ts';
import { funcBuilder, nameScope, replay } from '../ir/builder.ts';
import { OpError } from '../ir/constraint.ts';
import type { VjpContext } from '../ir/define.ts';
import { isBuiltIn, opDef } from '../ir/ops/index.ts';
import { type Func, type Op, type Result, sameType, typeText, type Value } from '../ir/types.ts';
import { renameValues } from './rename.ts';

export interface GradRequest {
  /** For each result, whether its cotangent arrives. */
  readonly cotangents: readonly boolean[];
  /** For each parameter, whether its gradient is wanted. */
  readonly wanted: readonly boolean[];
}

/** Values that depend on a wanted parameter. */
function activeValues(func: Func, wanted: readonly boolean[]): Set<Value> {
  const active = new Set(func.params.flatMap((p, i) => (wanted[i] ? [p.value] : [])));
  for (const op of func.ops) if (op.operands.some((v) => active.has(v))) for (const r of op.results) active.add(r);
  return active;
}

/** Where a value was made, for a message. */
const placeOf = (value: Value | undefined): string => (value?.loc ? ` (used at ${value.loc.file}:${value.loc.line}:${value.loc.column})` : '');

/** The cotangents of an op's operands. @throws OpError naming the op whose derivative is missing, fails, or gives what is none of its operands' */
function cotangentsOf(op: Op, context: VjpContext): readonly (Value | null)[] {
  const { name, operands, results } = op;
  const place = placeOf(results[0]);
  const { vjp } = opDef(name);
  if (!vjp) {
    // the library's ops without a derivative have none; a user's may have been forgotten
    if (isBuiltIn(name)) return [];
    throw new OpError(`op ${name}${place} has no vjp, and a gradient is wanted through it; give it one, or one that returns nothing where none comes through`);
  }
  const found = derivative(name, place, () => vjp(context));
  if (found.length > operands.length)
    throw new OpError(`op ${name}${place}: its vjp returns ${found.length} cotangents, expected no more than its ${operands.length} operands`);
  found.forEach((d, i) => {
    const type = operands[i]?.type;
    if (d && type && context.needs[i] && !sameType(d.type, type))
      throw new OpError(`op ${name}${place}: its vjp returns ${typeText(d.type)} for operand ${i}, expected ${typeText(type)}, which that operand is`);
  });
  return found;
}

function derivative<T>(name: string, place: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof EbbError) throw new OpError(`op ${name}${place}: in its vjp, ${error.message}`);
    throw error;
  }
}

/** Appends the backward of what is wanted to `func`, which holds only primitives, kernel ops and composites with a derivative of their own. */
export function grad(func: Func, { cotangents, wanted }: GradRequest): Func {
  const active = activeValues(func, wanted);
  const b = funcBuilder(nameScope());
  const mapping = new Map<Value, Value>();
  for (const { value, role } of func.params) mapping.set(value, b.param(value.name, value.type, role));
  replay(b, func.ops, mapping);
  const at = (v: Value): Value => mapping.get(v) ?? v;
  const contributions = new Map<Value, Value>();
  const contribute = (v: Value, d: Value): void => {
    const known = contributions.get(v);
    contributions.set(v, known ? b.op('add', [known, d], {}, `d_${v.name}`) : d);
  };
  func.results.forEach(({ value }, i) => {
    if (cotangents[i]) contribute(value, b.param(`d_${value.name}`, value.type, 'cotangent'));
  });
  for (const op of [...func.ops].reverse()) {
    const arriving = op.results.map((r) => contributions.get(r) ?? null);
    const needs = op.operands.map((v) => active.has(v));
    if (arriving.every((d) => d === null) || !needs.includes(true)) continue;
    b.at(op.results[0]?.loc);
    const grads = cotangentsOf(op, { b, operands: op.operands.map(at), results: op.results.map(at), attrs: op.attrs, cotangents: arriving, needs });
    op.operands.forEach((v, i) => {
      const d = grads[i];
      if (d && needs[i]) contribute(v, d);
    });
  }
  const results: Result[] = func.results.map((r) => ({ ...r, value: at(r.value) }));
  func.params.forEach(({ value }, i) => {
    const d = contributions.get(value);
    if (wanted[i] && d) results.push({ value: d, role: 'grad', of: i });
  });
  const made = new Set(b.added.slice(func.ops.length).flatMap((op) => op.results));
  const names = new Map([...contributions].flatMap(([v, d]): [Value, string][] => (made.has(d) ? [[d, `d_${v.name}`]] : [])));
  // Each gradient is named after the value whose gradient it is.
  return renameValues(b.finish(func.name, results), names);
}
