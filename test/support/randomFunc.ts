/** @file Random functions of primitives for property tests: any DAG of pointwise ops, views, reductions and dots that infers. */

import * as fc from 'fast-check';
import { funcBuilder } from '../../src/ir/builder.ts';
import type { FuncBuilder } from '../../src/ir/define.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import { randomTensor, type Tensor } from '../../src/ir/tensor.ts';
import type { Func, Value } from '../../src/ir/types.ts';

const UNARY = ['neg', 'tanh', 'sin', 'cos', 'abs'];
const BINARY = ['add', 'sub', 'mul', 'max', 'min'];

/** One step: an op by number, operands by number; what does not fit is left out. */
type Step = readonly [op: number, x: number, y: number, z: number];

const last = (v: Value): number => Number(v.type.shape.at(-1) ?? 1);
const rank = (v: Value): number => v.type.shape.length;

const STEPS: readonly ((b: FuncBuilder, x: Value, y: Value, z: number) => Value | null)[] = [
  (b, x, _y, z) => b.op(UNARY[z % UNARY.length] as string, [x]),
  (b, x, y, z) => b.op(BINARY[z % BINARY.length] as string, [x, y]),
  (b, x, y, z) => b.op(BINARY[z % BINARY.length] as string, [y, x]),
  (b, x, y) => (rank(x) === 2 && rank(y) === 2 ? b.op('mul', [x, b.op('tanh', [y])]) : null),
  (b, x, _y, z) => (rank(x) > 0 ? b.op('reduce_sum', [x], { axes: [z % rank(x)] }) : null),
  (b, x, _y, z) => (rank(x) > 0 ? b.op('reduce_max', [x], { axes: [z % rank(x)] }) : null),
  (b, x) => (rank(x) === 2 ? b.op('reduce_sum', [x], { axes: [0, 1] }) : null),
  (b, x, y, z) => {
    if (rank(x) !== 2 || rank(y) !== 2) return null;
    const [ta, tb] = [z % 2 === 1, z % 4 > 1] as const;
    const inner = Number(x.type.shape[ta ? 0 : 1]);
    return inner === Number(y.type.shape[tb ? 1 : 0]) ? b.op('dot', [x, y], { ta, tb }) : null;
  },
  (b, x) => (rank(x) === 2 ? b.op('transpose', [x], { perm: [1, 0] }) : null),
  (b, x, _y, z) => (rank(x) > 0 && last(x) > 1 ? b.op('slice', [x], { axis: rank(x) - 1, start: z % last(x), size: last(x) - (z % last(x)) }) : null),
  (b, x) => (rank(x) === 2 ? b.op('reshape', [x], { shape: [String(x.type.shape[1]), String(x.type.shape[0])] }) : null),
  (b, x, y) => (rank(x) === 2 && rank(y) === 2 && x.type.shape[0] === y.type.shape[0] ? b.op('concat', [x, y], { axis: 1 }) : null),
  (b, x) => (rank(x) === 2 ? b.op('broadcast', [b.op('reduce_sum', [x], { axes: [1] })], { shape: x.type.shape.map(String) }) : null),
];

function build(sizes: readonly [number, number, number], steps: readonly Step[]): Func {
  const b = funcBuilder();
  const [n, m, k] = sizes;
  const shapes = [[n, m], [m, k], [k, m], [n, m], [m], [1, m], [n, 1], []];
  const values = shapes.map((shape, i) => b.param(`p${i}`, { dtype: 'f32', shape }, 'value'));
  for (const [op, i, j, z] of steps) {
    const [x, y] = [values[i % values.length] as Value, values[j % values.length] as Value];
    try {
      const made = STEPS[op % STEPS.length]?.(b, x, y, z);
      if (made && made.type.shape.reduce<number>((p, d) => p * Number(d), 1) <= 400) values.push(made);
    } catch {
      // an op whose constraints these operands break is left out
    }
  }
  const made = values.slice(shapes.length);
  const results = made.filter((_, i) => i % 3 === 0 || i === made.length - 1);
  return b.finish(
    'random',
    results.map((value) => ({ value, role: 'value' })),
  );
}

/** Random functions with at least one op. */
export function randomFunc(maxSteps = 24): fc.Arbitrary<Func> {
  const size = fc.integer({ min: 1, max: 9 });
  const step = fc.tuple(fc.nat(1000), fc.nat(1000), fc.nat(1000), fc.nat(1000));
  return fc
    .tuple(fc.tuple(size, size, size), fc.array(step, { minLength: 4, maxLength: maxSteps }))
    .map(([sizes, steps]) => build(sizes, steps))
    .filter((func) => func.results.length > 0);
}

export function randomInputs(func: Func, seed = 5): Tensor[] {
  return func.params.map(({ value }, i) => randomTensor(value.type.dtype, value.type.shape as readonly number[], seed + i));
}

export function run(func: Func, inputs: readonly Tensor[]): readonly Tensor[] {
  return evaluate({ dims: {}, funcs: [] }, func, inputs, {});
}
