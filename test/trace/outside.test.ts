/** @file Ops that a program defines for itself, of every kind that is one literal: registered, called in a model, differentiated and compiled. */

import {
  callOp,
  compileModel,
  constraint,
  expr,
  makeOp,
  mean,
  mul,
  param,
  pointwiseOp,
  reductionOp,
  registerOp,
  traceModel,
  unit,
  verify,
} from '../../src/index.ts';
import { opDef } from '../../src/ir/ops/index.ts';
import { checkDerivative, checkKernels, checkSample } from '../support/opChecks.ts';
import { CPU_DEVICE } from '../support/tinyModels.ts';

registerOp(
  pointwiseOp('log_cosh', {
    arity: 1,
    domain: 'f32',
    flops: 8,
    js: (x) => Math.log(Math.cosh(x)),
    // |x| + log(1 + e^(−2|x|)) − log 2
    expr: (x) => {
      const far = expr.call('abs', x);
      const near = expr.call('log', expr.add(expr.call('exp', expr.mul(far, expr.f32(-2))), expr.f32(1)));
      return expr.sub(expr.add(far, near), expr.f32(Math.LN2));
    },
    vjp: ({ b, x, d }) => [b.op('mul', [d, b.op('tanh', [x])])],
  }),
);
registerOp(
  reductionOp('reduce_prod', { identity: 1, js: (x, y) => x * y, expr: expr.mul }, ({ b, d, results: [out] }, { x }) => ({
    x: b.op('mul', [d, b.op('div', [out!, x])]),
  })),
);
registerOp(
  makeOp({
    name: 'every_other',
    kind: 'index',
    operands: { x: 'f32' },
    attrs: { from: 'number' },
    infer: ({ x }, { from }) => {
      const [rows, ...rest] = x.shape;
      constraint(typeof rows === 'number' && rows % 2 === 0 && from < 2, 'every_other', 'C1', () => 'the rows must be an even number');
      return { dtype: 'f32', shape: [Number(rows) / 2, ...rest] };
    },
    evaluate: ({ x }, { from }, { shape }) => {
      const width = x.data.length / x.shape[0]!;
      const data = Float64Array.from({ length: shape[0]! * width }, (_, i) => x.data[(2 * Math.floor(i / width) + from) * width + (i % width)]!);
      return { dtype: 'f32', shape, data };
    },
    element: (at, { from }) =>
      at.at('x', () => {
        const [row, ...rest] = at.axes();
        return { axes: [expr.add(expr.mul(row!, expr.u32(2)), expr.u32(from)), ...rest] };
      }),
    fourWide: (_types, { shape }) => (shape.length > 1 ? 'all' : 'none'),
    samples: [
      { types: [{ dtype: 'f32', shape: [4, 3] }], attrs: { from: 1 } },
      { types: [{ dtype: 'f32', shape: [4, 8] }], attrs: { from: 0 } },
    ],
  }),
);

describe.each(['log_cosh', 'reduce_prod', 'every_other'])('%s', (name) => {
  const def = opDef(name);
  it('computes, in the evaluator and in kernels, what it says', () => {
    for (const sample of def.samples) {
      checkSample(def, sample);
      checkKernels(def, sample);
      if (def.vjp) checkDerivative(def, sample);
    }
  });
});

it('is used by a model, forward and backward', () => {
  const model = traceModel(
    {
      inputs: { x: { dtype: 'f32', shape: ['B', 4] } },
      build: ({ x }) => mean(unit('branch', x!, (v) => mul(callOp('log_cosh', [mul(param('w', [4]), v)]), callOp('reduce_prod', [v], { axes: [1] })))),
    },
    { dims: { B: 3 } },
  );
  verify(model.module);
  const { program } = compileModel(model, { device: CPU_DEVICE });
  expect(program.pipelines.length).toBeGreaterThan(2);
});

it('is refused by name for what it does not take', () => {
  const used =
    (operands: number, attrs: Record<string, number> = {}) =>
    () =>
      traceModel(
        {
          inputs: { x: { dtype: 'f32', shape: [4, 4] } },
          build: ({ x }) =>
            mean(
              callOp(
                'every_other',
                Array.from({ length: operands }, () => x!),
                attrs,
              ),
            ),
        },
        { dims: {} },
      );
  expect(used(2, { from: 0 })).toThrow('every_other C0: takes one operand (x), found 2');
  expect(used(1)).toThrow('every_other C0: attribute from is missing; it must be a number');
  expect(used(1, { from: 0, step: 2 })).toThrow('every_other C0: has no attribute step; it has from');
});
