/** @file The reference evaluator. It runs any function of a module in f64, simply and slowly; every kernel is tested against it. */

import { EbbError } from '../errors.ts';
import { shapeAttrs } from './attributes.ts';
import { funcBuilder } from './builder.ts';
import { isCall, isFused } from './ops/control.ts';
import { opDef } from './ops/index.ts';
import { type Tensor, tensor } from './tensor.ts';
import { type DimSizes, dimSize, type Func, liftedOf, type Module, type Op, type Type, type Value } from './types.ts';

type Env = Map<Value, Tensor>;

function resolve(type: Type, sizes: DimSizes): Type {
  return { dtype: type.dtype, shape: type.shape.map((dim) => dimSize(dim, sizes)) };
}

function read(env: Env, value: Value): Tensor {
  const found = env.get(value);
  if (!found) throw new EbbError(`evaluate: %${value.name} has no value`);
  return found;
}

/** The attributes with sizes in place of run-time dimensions, so that the op sees numbers only. */
function resolveAttrs(op: Op, sizes: DimSizes): Op['attrs'] {
  const { attrs: specs } = opDef(op.name);
  const names = specs ? shapeAttrs(specs) : Object.hasOwn(op.attrs, 'shape') ? ['shape'] : [];
  const resolved = (name: string): readonly string[] => (op.attrs[name] as readonly string[]).map((d) => (/^\d+$/.test(d) ? d : String(dimSize(d, sizes))));
  return { ...op.attrs, ...Object.fromEntries(names.map((name) => [name, resolved(name)])) };
}

function evaluateOp(op: Op, env: Env, sizes: DimSizes, module: Module): void {
  const inputs = op.operands.map((v) => read(env, v));
  let outputs: readonly Tensor[];
  if (isFused(op)) {
    for (const inner of op.body?.ops ?? []) evaluateOp(inner, env, sizes, module);
    return;
  }
  if (isCall(op)) {
    const callee = module.funcs.find((f) => f.name === op.attrs['callee']);
    if (!callee) throw new EbbError(`evaluate: no function @${op.attrs['callee']}`);
    const lifted = liftedOf(op).map((value) => tensor('f32', [], [value]));
    outputs = evaluate(module, callee, [...inputs, ...lifted], sizes);
  } else {
    outputs = evaluateNamed(
      op.name,
      inputs,
      resolveAttrs(op, sizes),
      sizes,
      op.results.map((r) => resolve(r.type, sizes)),
    );
  }
  op.results.forEach((r, i) => {
    const out = outputs[i];
    if (out) env.set(r, out);
  });
}

/** Evaluates one op on tensors, through its decomposition if it has no evaluation of its own. */
export function evaluateNamed(name: string, inputs: readonly Tensor[], attrs: Op['attrs'], sizes: DimSizes, types?: readonly Type[]): readonly Tensor[] {
  const def = opDef(name);
  if (def.evaluate) return def.evaluate(inputs, attrs, sizes, types ?? def.infer(inputs, attrs));
  if (!def.decompose) throw new EbbError(`evaluate: op ${name} has neither a reference evaluation nor a decomposition`);
  const b = funcBuilder();
  const params = inputs.map((t, i) => b.param(`p${i}`, { dtype: t.dtype, shape: t.shape }, 'value'));
  const results = def.decompose(b, params, attrs);
  const func = b.finish(
    name,
    results.map((value) => ({ value, role: 'value' })),
  );
  return evaluate({ dims: {}, funcs: [] }, func, inputs, sizes);
}

/** Runs `func` on `inputs`, one for each parameter, at `sizes` of the run-time dimensions. Returns its results. @throws EbbError if an input is missing */
export function evaluate(module: Module, func: Func, inputs: readonly Tensor[], sizes: DimSizes): readonly Tensor[] {
  const env: Env = new Map();
  func.params.forEach(({ value }, i) => {
    const given = inputs[i];
    if (!given) throw new EbbError(`evaluate: @${func.name} needs a value for %${value.name}`);
    env.set(value, given);
  });
  for (const op of func.ops) evaluateOp(op, env, sizes, module);
  return func.results.map(({ value }) => read(env, value));
}
