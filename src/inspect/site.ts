/** @file A function as one call of the model sees it: parameters under the names of what is handed over, its own values under the call's. */

import { callsOf } from '../ir/module.ts';
import type { Body, Func, Op, Value } from '../ir/types.ts';
import { qualifiedName } from '../trace/naming.ts';
import type { TracedModel } from '../trace/trace.ts';

/** What a call's operand is called: its own name for what main is given, `layers[2].mlp.y` for what another call makes. */
export function operandName({ module }: TracedModel, operand: Value): string {
  for (const call of callsOf(module)) {
    const at = call.results.indexOf(operand);
    if (at < 0) continue;
    const callee = module.funcs.find((f) => f.name === call.attrs['callee']);
    return qualifiedName(String(call.attrs['site']), callee?.results[at]?.value.name ?? String(at));
  }
  return operand.name;
}

/** A function with every value renamed. */
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

/** Instantiates a function, or a form of it, for the call at index `call` of main. Scalars keep their names. */
export function siteNames(traced: TracedModel, call: number): (func: Func) => Func {
  const op = callsOf(traced.module)[call];
  const callee = traced.module.funcs.find((f) => f.name === op?.attrs['callee']);
  const given = new Map(callee?.params.map(({ value }, i) => [value.name, op?.operands[i]]));
  const own = (v: Value): string => qualifiedName(String(op?.attrs['site']), v.name);
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
