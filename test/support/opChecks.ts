/** @file What every op is held to, built in or a user's: types, decomposition, derivative. */

import { deepStrictEqual, ok } from 'node:assert/strict';
import { lowerGroup } from '../../src/codegen/kernel/lower/lower.ts';
import { STARTING_SCHEDULES } from '../../src/codegen/kernel/lower/starting.ts';
import { funcBuilder } from '../../src/ir/builder.ts';
import type { OpDef, Sample } from '../../src/ir/define.ts';
import { evaluate, evaluateNamed } from '../../src/ir/evaluate.ts';
import { isFused } from '../../src/ir/ops/control.ts';
import { opDef } from '../../src/ir/ops/index.ts';
import { randomTensor, type Tensor, tensor } from '../../src/ir/tensor.ts';
import type { Func, Op, Value } from '../../src/ir/types.ts';
import { fuse } from '../../src/passes/fuse/index.ts';
import { differentiate } from '../../src/passes/pipeline.ts';
import { expand } from '../../src/passes/simplify.ts';
import { interpretRun } from './interpretRun.ts';
import type { Data } from './runKernel.ts';
import { CPU_TRAITS } from './tinyModels.ts';

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
  deepStrictEqual(
    results.map((r) => `${r.dtype}[${r.shape}]`),
    inferred.map((t) => `${t.dtype}[${t.shape}]`),
  );
  for (const r of results) ok(r.data.every((x) => Number.isFinite(x)));
  if (!def.evaluate || !def.decompose) return;
  const b = funcBuilder();
  const params = sample.types.map((type, i) => b.param(`p${i}`, type, 'value'));
  const values = def.decompose(b, params, sample.attrs ?? {});
  const func = b.finish(
    def.name,
    values.map((value: Value) => ({ value, role: 'value' })),
  );
  evaluate(MODULE, func, inputs, {}).forEach((r, k) => r.data.forEach((x, i) => ok(close(x, results[k]!.data[i]!, 1e-9))));
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
      ok(close(numeric, found.data[i]!, 1e-5), `element ${i} of operand ${operand} has the derivative ${found.data[i]}, and ${numeric} by differences`);
    });
  });
}

const DATA = { f32: Float32Array, i32: Int32Array, u32: Uint32Array, bool: Uint32Array } as const;

/** What a value's buffer holds: its numbers, and room for whole fours. */
function dataOf({ dtype, shape }: Value['type'], numbers: ArrayLike<number> = []): Data {
  const size = shape.reduce<number>((a, b) => a * Number(b), 1);
  const data = new DATA[dtype as keyof typeof DATA](Math.ceil(size / 4) * 4);
  data.set(Array.from(numbers));
  return data;
}

/** Whether the op's kernels can be run on plain numbers: stored weights are bytes, and run-time scalars come in the uniform block. */
export const hasPlainKernels = (def: OpDef, sample: Sample): boolean =>
  (def.kind === 'pointwise' || def.kind === 'index' || def.kind === 'reduce' || def.kind === 'composite' || def.kind === 'dot') &&
  sample.types.every(({ dtype }) => dtype in DATA);

/** The kernels that are made of the op, on the interpreter, compute what is evaluated: by subgroups and without, wide and narrow. */
export function checkKernels(def: OpDef, sample: Sample): void {
  const func = fuse(expand(single(def, sample)), { maxBuffers: 8 });
  const inputs = inputsOf(sample, 5).map((t) => ({ ...t, data: t.dtype === 'f32' ? t.data.map(Math.fround) : t.data }));
  const wanted = evaluate(MODULE, func, inputs, {});
  for (const device of [CPU_TRAITS, { ...CPU_TRAITS, kind: 'other', subgroups: false, subgroupSize: null } as const]) {
    const held = new Map<Value, Data>(func.params.map(({ value }, i) => [value, dataOf(value.type, inputs[i]!.data)]));
    for (const op of func.ops.filter(isFused)) {
      const { before, ...own } = lowerGroup(op, { device, dims: [], sizes: {}, scalarWord: new Map(), schedules: STARTING_SCHEDULES, adds: new Set() });
      for (const { kernel, values } of before ? [before, own] : [own]) {
        for (const v of values) if (!held.has(v)) held.set(v, dataOf(v.type));
        const buffers = Object.fromEntries(kernel.buffers.map(({ name }, i) => [name, held.get(values[i]!)!]));
        const written = interpretRun(kernel, { buffers }, device.subgroupSize ?? 4);
        kernel.buffers.forEach(({ name }, i) => void (written[name] && held.set(values[i]!, written[name])));
      }
    }
    func.results.forEach(({ value }, k) => {
      const got = held.get(bytesOf(func, value))!;
      wanted[k]!.data.forEach((x, i) => {
        if (!close(x, Number(got[i]), 1e-5)) throw new Error(`${def.name}: element ${i} of result ${k} is ${got[i]}, and ${x} by the evaluator`);
      });
    });
  }
}

/** The value whose bytes another one is. */
function bytesOf(func: Func, v: Value): Value {
  const maker: Op | undefined = func.ops.find((op) => op.results.includes(v));
  return maker && opDef(maker.name).aliases ? bytesOf(func, maker.operands[0]!) : v;
}
