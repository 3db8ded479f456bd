/** @file What every op is held to, built in or a user's: types, decomposition, derivative. */

import { funcBuilder } from '../../src/ir/builder.ts';
import type { OpDef, Sample } from '../../src/ir/define.ts';
import { evaluate, evaluateNamed } from '../../src/ir/evaluate.ts';
import { randomTensor, type Tensor, tensor } from '../../src/ir/tensor.ts';
import type { Func, Value } from '../../src/ir/types.ts';
import { differentiate } from '../../src/passes/pipeline.ts';

const MODULE = { dims: {}, funcs: [] };

function inputsOf(sample: Sample, seed: number): Tensor[] {
  return sample.types.map((type, i) => {
    const shape = type.shape as readonly number[];
    const given = sample.values?.[i];
    return given ? tensor(type.dtype, shape, given) : randomTensor(type.dtype, shape, seed + i);
  });
}

/** A function of one op. */
function single(def: OpDef, sample: Sample): Func {
  const b = funcBuilder();
  const params = sample.types.map((type, i) => b.param(`p${i}`, type, 'value'));
  const results = b.ops(def.name, params, sample.attrs ?? {});
  return b.finish(
    def.name,
    results.map((value) => ({ value, role: 'value' })),
  );
}

const close = (a: number, b: number, tolerance: number): boolean => Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b));

/** Results have the types that are inferred, and the decomposition computes what the evaluation does. */
export function checkSample(def: OpDef, sample: Sample): void {
  const inputs = inputsOf(sample, 3);
  const inferred = def.infer(sample.types, sample.attrs ?? {});
  const results = evaluateNamed(def.name, inputs, sample.attrs ?? {}, {}, inferred);
  expect(results.map((r) => `${r.dtype}[${r.shape}]`)).toEqual(inferred.map((t) => `${t.dtype}[${t.shape}]`));
  for (const r of results) expect(r.data.every((x) => Number.isFinite(x))).toBe(true);
  if (!def.evaluate || !def.decompose) return;
  const b = funcBuilder();
  const params = sample.types.map((type, i) => b.param(`p${i}`, type, 'value'));
  const values = def.decompose(b, params, sample.attrs ?? {});
  const func = b.finish(
    def.name,
    values.map((value: Value) => ({ value, role: 'value' })),
  );
  evaluate(MODULE, func, inputs, {}).forEach((r, k) => r.data.forEach((x, i) => expect(close(x, results[k]!.data[i]!, 1e-9)).toBe(true)));
}

/** The derivative is that of central differences, in every element of every f32 operand. */
export function checkDerivative(def: OpDef, sample: Sample): void {
  const func = single(def, sample);
  const inputs = inputsOf(sample, 11);
  const wanted = sample.types.map((t, i) => t.dtype === 'f32' && sample.values?.[i] === undefined);
  // some results are for the backward alone and bring no cotangent
  const cotangents = func.results.map((_, i) => i === 0);
  const joint = differentiate(func, { cotangents, wanted });
  const types = def.infer(sample.types, sample.attrs ?? {});
  if (types[0]?.dtype !== 'f32') return;
  const direction = randomTensor('f32', types[0].shape as readonly number[], 29);
  const outputs = evaluate(MODULE, joint, [...inputs, direction], {});
  const grads = new Map(joint.results.flatMap((r, i) => (r.role === 'grad' ? [[r.of!, outputs[i]!] as const] : [])));
  const value = (at: readonly Tensor[]): number => evaluate(MODULE, func, at, {})[0]!.data.reduce((sum, y, i) => sum + y * direction.data[i]!, 0);
  wanted.forEach((want, operand) => {
    const found = grads.get(operand);
    if (!want || !found) return;
    inputs[operand]!.data.forEach((x, i) => {
      const step = 1e-5;
      const moved = (by: number): Tensor[] =>
        inputs.map((t, k) => (k === operand ? { ...t, data: Float64Array.from(t.data, (v, j) => (j === i ? x + by : v)) } : t));
      const numeric = (value(moved(step)) - value(moved(-step))) / (2 * step);
      expect({ operand, i, ok: close(numeric, found.data[i]!, 1e-5), numeric, found: found.data[i] }).toMatchObject({ ok: true });
    });
  });
}
