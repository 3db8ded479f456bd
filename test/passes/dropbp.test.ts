/** @file Forms: forward with its saves, then backward from them, give what differentiating in one go gives; a dropped branch leaves nothing. */

import * as fc from 'fast-check';
import { evaluate } from '../../src/ir/evaluate.ts';
import { randomTensor, type Tensor, tensor } from '../../src/ir/tensor.ts';
import type { Func, Module, Type } from '../../src/ir/types.ts';
import { backwardKeyText, formsOf } from '../../src/passes/dropbp.ts';
import { flowsOf } from '../../src/passes/flows.ts';
import { differentiate } from '../../src/passes/pipeline.ts';
import { tinyModel } from '../support/tinyModels.ts';

const SIZES = { B: 2, T: 5 };
const resolved = (type: Type): number[] => type.shape.map((d) => (typeof d === 'number' ? d : SIZES[d as 'B']));

/** Inputs that suit a function of a model: small numbers, token ids within bounds. */
function inputsOf(func: Func, seed: number): Tensor[] {
  return func.params.map(({ value, role }, i) => {
    const shape = resolved(value.type);
    if (role === 'scalar') return tensor(value.type.dtype, shape, [value.type.dtype === 'f32' ? 1 : 0]);
    if (value.type.dtype === 'f32') return randomTensor('f32', shape, seed + i, 0.7);
    const count = shape.reduce((a, b) => a * b, 1);
    return tensor(
      value.type.dtype,
      shape,
      Array.from({ length: count }, (_, k) => (role === 'input' && value.name === 'segments' ? 1 : (k * 7 + seed) % 30)),
    );
  });
}

const models: Module[] = [tinyModel().module, tinyModel({ kind: 'gpt2' }).module, tinyModel({ lora: true }).module];
const funcs = models.flatMap((m) => m.funcs.filter((f) => f.name !== 'main'));

describe.each(funcs.map((f, i) => [`@${f.name} ${i}`, f] as const))('%s', (_name, func) => {
  it('backward from saved values = backward in one, for random sets of wanted gradients', () => {
    const reached = flowsOf(func).flat();
    const floats = func.params.map((_, i) => reached.includes(i));
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: floats.length, maxLength: floats.length }), fc.nat(1000), (chosen, seed) => {
        const wanted = floats.map((f, i) => f && chosen[i]!);
        if (!wanted.includes(true)) return;
        const key = { cotangents: func.results.map(() => true), wanted };
        const { forward, backwards } = formsOf(func, [key], { sizes: SIZES });
        const [backward] = backwards;
        expect(backwardKeyText(backward!.key)).toBe(backwardKeyText(key));
        const inputs = inputsOf(func, seed);
        const cotangents = func.results.map((r, i) => randomTensor('f32', resolved(r.value.type), seed + 50 + i));
        const joint = differentiate(func, key);
        const expected = evaluate({ dims: {}, funcs: [] }, joint, [...inputs, ...cotangents], SIZES).slice(func.results.length);
        const out = evaluate({ dims: {}, funcs: [] }, forward, inputs, SIZES);
        const saves = out.slice(func.results.length);
        const given = backward!.sources.map(({ from, index }) => (from === 'argument' ? inputs[index] : from === 'save' ? saves[index] : cotangents[index])!);
        const found = evaluate({ dims: {}, funcs: [] }, backward!.func, given, SIZES);
        expect(backward!.gradientOf).toEqual(joint.results.filter((r) => r.role === 'grad').map((r) => r.of));
        expected.forEach((t, i) => t.data.forEach((x, j) => expect(Math.abs(x - found[i]!.data[j]!)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(x)))));
      }),
      { numRuns: 12 },
    );
  });
});

it('a unit whose branch has a zero cotangent passes the gradient on as it is: no op, no weight gradient', () => {
  const [module] = models;
  for (const func of module!.funcs.filter((f) => ['attn', 'mlp'].includes(f.name))) {
    // dropped is grad of the same function with the gradient of the branch stopped
    const ops = func.ops.flatMap((op) => {
      if (op.name !== 'residual') return [op];
      const stopped = { ...op.operands[1]!, name: 'stopped' };
      return [
        { name: 'stop_gradient', operands: [op.operands[1]!], attrs: {}, results: [stopped] },
        { ...op, operands: [op.operands[0]!, stopped, ...op.operands.slice(2)] },
      ];
    });
    const wanted = func.params.map((p) => p.role === 'value' || p.role === 'weight');
    const joint = differentiate({ ...func, ops }, { cotangents: [true], wanted });
    const grads = joint.results.filter((r) => r.role === 'grad');
    expect(grads.map((r) => r.of)).toEqual([func.params.findIndex((p) => p.role === 'value')]);
    expect(grads[0]!.value).toBe(joint.params.find((p) => p.role === 'cotangent')!.value);
  }
});
