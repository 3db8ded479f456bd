/** @file What is no number stays none: every function of the device, alone and in models, against the reference evaluator; sin and cos near and far. */

import { kernelBuilder, ONE_GROUP } from '../../src/codegen/kernel/builder.ts';
import { builtin } from '../../src/codegen/kernel/expr.ts';
import { compileModel } from '../../src/compile/compile.ts';
import type { ElementAt } from '../../src/ir/element.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import { mainOf } from '../../src/ir/module.ts';
import { opDef } from '../../src/ir/ops/index.ts';
import { randomTensor, tensor } from '../../src/ir/tensor.ts';
import { createEngine } from '../../src/runtime/execute.ts';
import { neutralScalar } from '../../src/runtime/scalars.ts';
import { max, maximum, minimum } from '../../src/trace/math.ts';
import { attention, crossEntropy, gelu, geluTanh, layerNorm, mul, relu, reshape, sigmoid, silu, slice, softmax, sum, tanh } from '../../src/trace/nn.ts';
import { type ModelDefinition, traceModel } from '../../src/trace/trace.ts';
import { runKernel } from '../support/runKernel.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

/** A function of x and y, in f32 or four at once. */
async function onDevice(name: string, x: Float32Array, y: Float32Array, type: 'f32' | 'vec4f'): Promise<Float32Array> {
  const lanes = 64;
  const b = kernelBuilder('apply', [lanes, 1, 1]);
  const [xs, ys, out] = ['x', 'y', 'out'].map((buffer) => b.buffer(buffer, type, 'read_write'));
  const at = b.let('at', {
    kind: 'bin',
    type: 'u32',
    op: '+',
    a: { kind: 'bin', type: 'u32', op: '*', a: builtin('workgroupX'), b: { kind: 'const', type: 'u32', value: lanes } },
    b: builtin('localX'),
  });
  const [a, c] = [b.let('a', xs!.load(at)), b.let('b', ys!.load(at))];
  const place = { width: type === 'f32' ? 1 : 4, same: (operand: number) => [a, c][operand]!, bind: b.let } as unknown as ElementAt;
  out!.store(at, opDef(name).element!(place, { name, attrs: {}, operands: [], results: [] }));
  const count = x.length / (type === 'f32' ? 1 : 4);
  const kernel = b.finish([{ of: [count], per: lanes }, ONE_GROUP, ONE_GROUP]);
  const written = await runKernel(opened.device, kernel, { params: new Uint32Array(64), buffers: { x, y, out: new Float32Array(x.length) }, dims: {} });
  return written['out'] as Float32Array;
}

const ODD = [Number.NaN, 1, -1.5, 0, -0, 30, -30, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const PAIRS = ODD.flatMap((x) => ODD.map((y) => [x, y] as const));
const OPS = [
  ...(['tanh', 'exp', 'log', 'sqrt', 'rsqrt', 'sin', 'cos', 'abs', 'sign', 'floor'] as const).map((name) => [name, 1] as const),
  ...(['max', 'min'] as const).map((name) => [name, 2] as const),
];

it.each(OPS)('%s of what is no number, is infinite, or is out of its domain', async (op, arity) => {
  const size = 256;
  const [x, y] = [0, 1].map((k) => Float32Array.from({ length: size }, (_, i) => PAIRS[i % PAIRS.length]![k]!)) as [Float32Array, Float32Array];
  const inputs = [x, y].slice(0, arity).map((data) => tensor('f32', [size], data));
  const wanted = opDef(op).evaluate!(inputs, {}, {}, [{ dtype: 'f32', shape: [size] }])[0]!.data;
  for (const type of ['f32', 'vec4f'] as const) {
    const found = await onDevice(op, x, y, type);
    const shown = (value: number): string => (Number.isFinite(value) ? value.toPrecision(3) : `${value}`).replace(/^-(0(\.0*)?)$/, '$1');
    expect(Array.from(found, (value, i) => `${x[i]} ${y[i]}: ${shown(value)}`)).toEqual(Array.from(wanted, (value, i) => `${x[i]} ${y[i]}: ${shown(value)}`));
  }
});

it.each([
  ['sin', Math.sin],
  ['cos', Math.cos],
] as const)('%s to rounding, also of large numbers', async (op, exact) => {
  const size = 65536;
  for (const [reach, most] of [
    [1e-3, 2e-7],
    [1, 2e-7],
    [Math.PI, 2e-7],
    [100, 2e-7],
    [1e4, 2e-7],
    [3e4, 3e-7],
    [1e5, 2e-6],
  ] as const) {
    const x = Float32Array.from({ length: size }, (_, i) => reach * (2 * ((i * 0.6180339887498949) % 1) - 1));
    for (const type of ['f32', 'vec4f'] as const) {
      const found = await onDevice(op, x, x, type);
      const off = x.reduce((worst, v, i) => Math.max(worst, Math.abs(found[i]! - exact(v))), 0);
      expect({ reach, type, off, isClose: off < most }).toEqual({ reach, type, off, isClose: true });
    }
  }
  const far = await onDevice(op, Float32Array.of(1e7, 1e10, 1e20, 3e38), new Float32Array(4), 'vec4f');
  expect(far.every((v) => Math.abs(v) <= 1.000001)).toBe(true);
});

/** x [3, width] by everything that could lose a NaN; a result for each. */
const lossy = (width: number): ModelDefinition<{ x: { dtype: 'f32'; shape: readonly number[] } }> => ({
  inputs: { x: { dtype: 'f32', shape: [3, width] } },
  build: ({ x }) =>
    [
      ...[tanh, relu, gelu, geluTanh, sigmoid, silu, softmax].map((f) => f(x)),
      max(x, [1]),
      max(x, [0]),
      max(x, [0, 1]),
      sum(max(x, [1]), [0]),
      maximum(x, 0),
      minimum(x, 0.5),
      maximum(slice(x, 1, 0, 2), slice(x, 1, 1, 2)),
      layerNorm(x, reshape(sum(mul(x, 0), [0]), [width]), reshape(sum(x, [0]), [width]), 1e-5),
    ].map((y) => reshape(y, [y.type.shape.reduce<number>((n, d) => n * Number(d), 1)])),
});

it.each([5, 8, 260])('models keep NaN, rows of %i', async (width) => {
  const model = traceModel(lossy(width) as ModelDefinition, { dims: {} });
  const { program } = compileModel(model, { device: { traits: opened.traits, maxBuffers: 8 } });
  const engine = await createEngine(opened.device, program, { micros: 1, decays: () => true, optimizer: 'none' });
  for (const at of [0, 1, width - 1, 2 * width - 1, 2 * width]) {
    const x = Float32Array.from(randomTensor('f32', [3, width], 5).data);
    x[at] = Number.NaN;
    const found = await engine.forward({ sizes: {}, inputs: { x }, scalar: neutralScalar });
    const wanted = evaluate(model.module, mainOf(model.module), [tensor('f32', [3, width], x)], {});
    const holes = (values: ArrayLike<number>): number[] => Array.from(values).flatMap((v, i) => (Number.isNaN(v) ? [i] : []));
    expect(found.map((values, i) => ({ i, at, holes: holes(values.slice(0, wanted[i]!.data.length)) }))).toEqual(
      wanted.map(({ data }, i) => ({ i, at, holes: holes(data) })),
    );
  }
  engine.destroy();
});

it.each([undefined, 3])('attention and the loss keep NaN, scores capped at %s', async (softCap) => {
  const [T, H, D] = [6, 2, 8];
  const shape = [1, T, H, D];
  const model = traceModel(
    {
      inputs: { q: { dtype: 'f32', shape }, k: { dtype: 'f32', shape }, v: { dtype: 'f32', shape }, ids: { dtype: 'i32', shape: [1, T] } },
      build: ({ q, k, v, ids }) => {
        const seen = attention(q!, k!, v!, { scale: 0.4, causal: true, segments: [ids!, ids!], ...(softCap === undefined ? {} : { softCap }) });
        return [crossEntropy(reshape(seen, [1, T, H * D]), ids!), reshape(seen, [T * H * D])];
      },
    } satisfies ModelDefinition,
    { dims: {} },
  );
  const { program } = compileModel(model, { device: { traits: opened.traits, maxBuffers: 8 } });
  const engine = await createEngine(opened.device, program, { micros: 1, decays: () => true, optimizer: 'none' });
  for (const broken of ['q', 'k', 'v']) {
    const inputs = Object.fromEntries(['q', 'k', 'v'].map((name, i) => [name, Float32Array.from(randomTensor('f32', shape, i + 1).data)]));
    // the third token's first head: it is seen by itself and those behind it
    inputs[broken]![2 * H * D + 3] = Number.NaN;
    const [loss, seen] = await engine.forward({ sizes: {}, inputs: { ...inputs, ids: new Int32Array(T).fill(1) }, scalar: neutralScalar });
    const lost = [2, 3, 4, 5].map((t) => Number.isNaN(seen![t * H * D + 3]!));
    expect({ broken, loss: loss![0], lost }).toEqual({ broken, loss: Number.NaN, lost: [true, ...Array(3).fill(broken !== 'q')] });
    expect(Number.isNaN(seen![2 * H * D + D + 3]!)).toBe(false);
  }
  engine.destroy();
});
