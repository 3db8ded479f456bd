/** @file `absorb` keeps the meaning, and leaves a `rope` whose operand is read by something else. */

import { funcBuilder } from '../../src/ir/builder.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import { randomTensor, tensor } from '../../src/ir/tensor.ts';
import type { Func, Type } from '../../src/ir/types.ts';
import { absorb } from '../../src/passes/absorb.ts';

const [TOKENS, WIDTH] = [3, 4];
const f = (...shape: number[]): Type => ({ dtype: 'f32', shape });

/** Gradients of rotated attention; `also`: whether the rotated dq is a result too. */
function gradients(also: boolean): Func {
  const b = funcBuilder();
  const q = b.param('q', f(1, TOKENS, 2, WIDTH), 'value');
  const [k, v] = ['k', 'v'].map((name) => b.param(name, f(1, TOKENS, 1, WIDTH), 'value'));
  const d = b.param('d', f(1, TOKENS, 2, WIDTH), 'value');
  const stats = b.param('stats', f(1, 2, TOKENS, 3), 'value');
  const angles = b.param('angles', f(8, WIDTH), 'weight');
  const position = b.param('position', { dtype: 'i32', shape: [] }, 'scalar');
  const inputs = [q, k!, v!, position, d, stats];
  const dq = b.op('attention_dq', inputs, { scale: 0.5, causal: true });
  const [dk, dv] = b.ops('attention_dkv', inputs, { scale: 0.5, causal: true });
  const back = [dq, dk!].map((x) => b.op('rope', [x, angles, position], { inverse: true }));
  return b.finish(
    'gradients',
    [...back, dv!, ...(also ? [dq] : [])].map((value) => ({ value, role: 'value' })),
  );
}

const run = (func: Func): number[][] =>
  evaluate(
    { dims: {}, funcs: [] },
    func,
    func.params.map(({ value: { name, type } }, i) => {
      if (name === 'position') return tensor('i32', [], [2]);
      const made = randomTensor('f32', type.shape as number[], i + 1);
      return name === 'stats' ? { ...made, data: made.data.map((x, at) => (at % 3 === 2 ? 1 : x)) } : made;
    }),
    {},
  ).map((t) => [...t.data]);

it.each([false, true])('numbers stay; a gradient read twice: %s', (also) => {
  const func = gradients(also);
  const made = absorb(func);
  expect(made.ops.map((op) => op.name)).toEqual(['attention_dq', 'attention_dkv', ...(also ? ['rope'] : [])]);
  run(made).forEach((found, i) => {
    found.forEach((x, j) => expect(x).toBeCloseTo(run(func)[i]![j]!, 12));
  });
});
