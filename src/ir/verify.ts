/** @file Checks that a module is well formed: names are unique, values are defined before their uses, types are those inferred, calls fit their callees. */

import { EbbError } from '../errors.ts';
import { isCall, isFused } from './ops/control.ts';
import { opDef } from './ops/index.ts';
import { type Func, liftedOf, type Module, type Op, sameType, typeText, type Value } from './types.ts';

function fail(func: Func, message: string): never {
  throw new EbbError(`@${func.name}: ${message}`);
}

function verifyOps(func: Func, ops: readonly Op[], defined: Map<string, Value>, module: Module): void {
  for (const op of ops) {
    for (const v of op.operands) if (defined.get(v.name) !== v) fail(func, `${op.name} reads %${v.name}, which is not defined before it`);
    if (isFused(op)) {
      const inner = new Map(defined);
      verifyOps(func, op.body?.ops ?? [], inner, module);
      for (const r of op.results) {
        if (inner.get(r.name) !== r) fail(func, `fused group yields %${r.name}, which it does not define`);
        defined.set(r.name, r);
      }
      continue;
    }
    if (isCall(op)) verifyCall(func, op, module);
    else {
      const types = opDef(op.name).infer(
        op.operands.map((v) => v.type),
        op.attrs,
      );
      op.results.forEach((r, i) => {
        const type = types[i];
        if (!type || !sameType(type, r.type)) fail(func, `%${r.name} = ${op.name} is ${type ? typeText(type) : 'absent'}, written as ${typeText(r.type)}`);
      });
    }
    for (const r of op.results) {
      if (defined.has(r.name)) fail(func, `%${r.name} is defined twice`);
      defined.set(r.name, r);
    }
  }
}

function verifyCall(func: Func, op: Op, module: Module): void {
  const callee = module.funcs.find((f) => f.name === op.attrs['callee']);
  if (!callee) fail(func, `calls @${op.attrs['callee']}, which the module does not define`);
  const given = op.operands.length + liftedOf(op).length;
  if (callee.params.length !== given) fail(func, `@${callee.name} takes ${callee.params.length} arguments, found ${given}`);
  callee.params.forEach((p, i) => {
    const given = op.operands[i];
    if (given && !sameType(given.type, p.value.type))
      fail(func, `@${callee.name} takes ${typeText(p.value.type)} for %${p.value.name}, found ${typeText(given.type)}`);
  });
}

/** @throws EbbError naming the function and the value that are not well formed */
export function verify(module: Module): void {
  const seen = new Set<string>();
  for (const func of module.funcs) {
    if (seen.has(func.name)) fail(func, 'is defined twice');
    seen.add(func.name);
    const defined = new Map<string, Value>();
    for (const { value } of func.params) {
      if (defined.has(value.name)) fail(func, `%${value.name} is defined twice`);
      defined.set(value.name, value);
    }
    verifyOps(func, func.ops, defined, module);
    for (const { value } of func.results) if (defined.get(value.name) !== value) fail(func, `returns %${value.name}, which is not defined`);
    for (const dim of func.params.flatMap((p) => p.value.type.shape))
      if (typeof dim === 'string' && !Object.hasOwn(module.dims, dim)) fail(func, `dimension ${dim} has no bound in the module's dims`);
  }
}
