/** @file A function as one call of the model runs it: its parameters have the names of the call's operands, and its own values the name of the call. */

import { at, invariant } from '../errors.ts';
import { callsOf } from '../ir/module.ts';
import type { Body, Func, Module, Op, Value } from '../ir/types.ts';
import { qualifiedName } from '../trace/naming.ts';
import type { TracedModel } from '../trace/trace.ts';

/** The site of a call: the name of the unit or piece of trunk that it runs. */
export const siteOf = (call: Op): string => String(call.attrs['site']);

/** The function that a call runs. */
export function calleeOf({ funcs }: Module, call: Op): Func {
  const callee = funcs.find((f) => f.name === call.attrs['callee']);
  invariant(callee, `${siteOf(call)} calls a function that the module does not have`);
  return callee;
}

/** The name of a call's operand: its own name where main is given it, `layers[2].mlp.y` where another call makes it. */
export function operandName({ module }: TracedModel, operand: Value): string {
  for (const call of callsOf(module)) {
    const index = call.results.indexOf(operand);
    if (index < 0) continue;
    return qualifiedName(siteOf(call), at(calleeOf(module, call).results, index).value.name);
  }
  return operand.name;
}

/** Copies a function with every value renamed. */
function renamed(func: Func, name: (value: Value) => string): Func {
  const made = new Map<Value, Value>();
  const value = (v: Value): Value => {
    const known = made.get(v);
    if (known) return known;
    const copy: Value = { ...v, name: name(v) };
    made.set(v, copy);
    return copy;
  };
  const op = (o: Op): Op => ({ ...o, operands: o.operands.map(value), results: o.results.map(value), ...(o.body ? { body: body(o.body) } : {}) });
  const body = (b: Body): Body => ({ params: b.params.map(value), ops: b.ops.map(op), results: b.results.map(value) });
  return {
    ...func,
    params: func.params.map((p) => ({ ...p, value: value(p.value) })),
    ops: func.ops.map(op),
    results: func.results.map((r) => ({ ...r, value: value(r.value) })),
  };
}

/** Returns a function that renames a callee, or a form of it, for the call at index `call` of main. Scalars keep their names. */
export function siteNames(traced: TracedModel, call: number): (func: Func) => Func {
  const op = at(callsOf(traced.module), call);
  const given = new Map(calleeOf(traced.module, op).params.map(({ value }, i) => [value.name, at(op.operands, i)]));
  const own = (v: Value): string => qualifiedName(siteOf(op), v.name);
  return (func) => {
    const names = new Map(
      func.params.map(({ value, role }) => {
        const operand = role === 'saved' || role === 'cotangent' ? undefined : given.get(value.name);
        return [value.name, operand ? operandName(traced, operand) : role === 'scalar' ? value.name : own(value)];
      }),
    );
    return renamed(func, (v) => names.get(v.name) ?? own(v));
  };
}
