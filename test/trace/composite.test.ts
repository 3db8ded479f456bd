/** @file A user's op is its decomposition: types, cost and derivative follow from it, and misuse names it. */

import { compileModel } from '../../src/compile/compile.ts';
import { productOf, sumOf } from '../../src/cost.ts';
import { EbbError } from '../../src/errors.ts';
import { funcBuilder } from '../../src/ir/builder.ts';
import { opCost, opFlops } from '../../src/ir/cost.ts';
import type { Sample } from '../../src/ir/define.ts';
import { defineOp } from '../../src/ir/derive.ts';
import { opDef } from '../../src/ir/ops/index.ts';
import { printFunc, printModule } from '../../src/ir/print.ts';
import { callOp, compositeOp } from '../../src/trace/composite.ts';
import { mean, softplus } from '../../src/trace/math.ts';
import { add, dropout, matmul, mul, sum, tanh } from '../../src/trace/nn.ts';
import { defineModel, traceModel } from '../../src/trace/trace.ts';
import { checkDerivative, checkSample } from '../support/opChecks.ts';
import { CPU_DEVICE } from '../support/tinyModels.ts';

const F = (...shape: number[]) => ({ dtype: 'f32', shape }) as const;

const mish = compositeOp({ name: 'mish', operands: ['x'], decompose: ({ x }) => mul(x, tanh(softplus(x))), samples: [{ types: [F(2, 3)] }] });
const blend = compositeOp({
  name: 'blend',
  operands: ['x', 'y'],
  decompose: ({ x, y }, { share }: { share: number }) => add(mul(x, share), mul(y, 1 - share)),
  samples: [{ types: [F(2, 3), F(3)], attrs: { share: 0.25 } }],
});
defineOp({
  name: 'mean_square',
  decompose: (b, [x]) => (x ? [b.op('reduce_sum', [b.op('mul', [x, x])], { axes: [0] })] : []),
  samples: [{ types: [F(3, 2)] }],
});
// an op in an op
compositeOp({ name: 'twice_mish', operands: ['x'], decompose: ({ x }) => mish([mish([x])]), samples: [{ types: [F(2, 2)] }] });

describe.each(['mish', 'blend', 'mean_square', 'twice_mish'])('%s', (name) => {
  const def = opDef(name);
  it('has the types of its decomposition', () => checkSample(def, def.samples[0]!));
  it('has the derivative of its decomposition', () => {
    const [sample] = def.samples;
    checkDerivative(def, sample!);
  });
});

it('costs what its decomposition costs', () => {
  const flops = (name: string): number => {
    const [{ types, attrs = {} }] = opDef(name).samples as [Sample];
    const b = funcBuilder();
    b.op(
      name,
      types.map((type, i) => b.param(`x${i}`, type, 'value')),
      attrs,
    );
    return opFlops(b.added[0]!, {});
  };
  expect(flops('mean_square')).toBe(12);
  expect(flops('blend')).toBe(6 + 3 + 6);
});

it('costs what it says, where it says so', () => {
  const cheap = compositeOp({
    name: 'cheap',
    operands: ['x'],
    flops: (types) => sumOf([productOf([2, ...types[0]!.shape]), 7]),
    decompose: ({ x }) => tanh(x),
  });
  const { module } = traceModel({ inputs: { x: { dtype: 'f32', shape: ['B', 4] } }, build: ({ x }) => mean(cheap([x!])) }, { dims: { B: 3 } });
  const [call] = module.funcs[0]!.ops.filter((op) => op.name === 'cheap');
  expect(opCost(call!)).toEqual([
    { times: 8, of: ['B'] },
    { times: 7, of: [] },
  ]);
});

it('is one node of the IR, and primitives where it is compiled', () => {
  const model = traceModel(defineModel({ inputs: { x: { dtype: 'f32', shape: ['B', 4] } }, build: ({ x }) => mean(blend([mish([x]), x], { share: 0.5 })) }), {
    dims: { B: 3 },
  });
  expect(printModule(model.module)).toContain('%blend = blend %mish, %x {share = 0.5} : f32[B,4]');
  const { stages } = compileModel(model, { device: CPU_DEVICE });
  expect(printFunc(stages.dropbp.funcs[0]!)).not.toMatch(/= (mish|blend) /);
  const [call] = model.module.funcs[0]!.ops.filter((op) => op.name === 'blend');
  expect(opFlops(call!, { B: 2 })).toBe(8 * 3);
});

const traced = (build: Parameters<typeof defineModel>[0]['build']) => () =>
  traceModel({ inputs: { x: { dtype: 'f32', shape: ['B', 4] } }, build }, { dims: { B: 3 } });

it('misuse names the op', () => {
  expect(traced(({ x }) => callOp('mish', [x!, x!].slice(0, 0)))).toThrow(/mish/);
  expect(traced(({ x }) => (blend as (operands: unknown, attrs: unknown) => never)([x], { share: 1 }))).toThrow('blend C0: takes 2 operands (x, y), found 1');
  expect(traced(({ x }) => callOp('no_such', [x!]))).toThrow('unknown op no_such');
  const wrong = compositeOp({ name: 'wrong', operands: ['x'], decompose: ({ x }) => matmul(x, x) });
  expect(traced(({ x }) => wrong([x!]))).toThrow(/composite\.test\.ts:\d+:\d+: wrong: in its decomposition, dot C2: contracted axes must agree/);
  const seeded = compositeOp({ name: 'seeded', operands: ['x'], decompose: ({ x }) => dropout(x, 0.5) });
  expect(traced(({ x }) => seeded([x!]))).toThrow('scalar seed is asked for inside the decomposition of seeded');
});

it('a name is one op; the same text may be read again', () => {
  expect(() => compositeOp({ name: 'mish', operands: ['x'], decompose: ({ x }) => x })).toThrow(EbbError);
  expect(() => compositeOp({ name: 'add', operands: ['x'], decompose: ({ x }) => sum(x, [0]) })).toThrow('op add exists already');
  expect(() => compositeOp({ name: 'Mish', operands: ['x'], decompose: ({ x }) => x })).toThrow('snake_case');
  const again = () => compositeOp({ name: 'mish_again', operands: ['x'], decompose: ({ x }) => tanh(x) });
  again();
  expect(again).not.toThrow();
});
