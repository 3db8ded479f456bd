/** @file The functions models are written with, against their formulas, at batches of several sizes. */

import { evaluate } from '../../src/ir/evaluate.ts';
import { mainOf } from '../../src/ir/module.ts';
import { type Tensor as Numbers, randomTensor, tensor } from '../../src/ir/tensor.ts';
import type { Dim } from '../../src/ir/types.ts';
import { conv2d, groupNorm, patches, spaceToDepth, unpatch, upsample } from '../../src/trace/image.ts';
import { abs, greaterEqual, less, max, maximum, mean, meanOver, minimum, mseLoss, pad, pow, select, softplus, sqrt, square } from '../../src/trace/math.ts';
import type { Tensor } from '../../src/trace/nn.ts';
import { traceModel } from '../../src/trace/trace.ts';

/** Runs a function of tensors of `shapes`; parameters are drawn anew. */
function run(
  shapes: readonly (readonly Dim[])[],
  build: (...x: Tensor[]) => Tensor,
  inputs: readonly Numbers[],
  B = 2,
): { out: Numbers; params: Map<string, Numbers> } {
  const names = shapes.map((_, i) => `x${i}`);
  const model = traceModel(
    {
      inputs: Object.fromEntries(shapes.map((shape, i) => [names[i]!, { dtype: 'f32', shape }])),
      build: (given) => build(...names.map((name) => given[name]!)),
    },
    { dims: { B } },
  );
  const params = new Map(model.params.map((p, i) => [p.name, randomTensor('f32', p.shape, 40 + i)]));
  const main = mainOf(model.module);
  const values = main.params.map(({ value }) => params.get(value.name) ?? inputs[names.indexOf(value.name)]!);
  return { out: evaluate(model.module, main, values, { B })[0]!, params };
}

const x = tensor('f32', [2, 3], [0.5, -1, 2, 3, -0.25, 1]);
const each = (f: (v: number) => number): number[] => Array.from(x.data, f);
const close = (found: Numbers, expected: readonly number[]): void => {
  expect(found.data.length).toBe(expected.length);
  expected.forEach((v, i) => expect(found.data[i]).toBeCloseTo(v, 9));
};

it.each<[string, (x: Tensor) => Tensor, (v: number) => number]>([
  ['square', square, (v) => v * v],
  ['pow 3', (t) => pow(t, 3), (v) => v ** 3],
  ['pow 10', (t) => pow(t, 10), (v) => v ** 10],
  ['pow -2', (t) => pow(t, -2), (v) => v ** -2],
  ['pow 1.5', (t) => pow(abs(t), 1.5), (v) => Math.abs(v) ** 1.5],
  ['pow 0.5', (t) => pow(abs(t), 0.5), (v) => Math.sqrt(Math.abs(v))],
  ['sqrt', (t) => sqrt(abs(t)), (v) => Math.sqrt(Math.abs(v))],
  ['softplus', softplus, (v) => Math.log1p(Math.exp(v))],
  ['maximum', (t) => maximum(t, 0.5), (v) => Math.max(v, 0.5)],
  ['minimum', (t) => minimum(t, 0.5), (v) => Math.min(v, 0.5)],
  ['select', (t) => select(less(t, 0), 7, t), (v) => (v < 0 ? 7 : v)],
  ['select of a comparison', (t) => select(greaterEqual(t, 1), t, 0), (v) => (v >= 1 ? v : 0)],
])('%s', (_name, f, expected) => close(run([['B', 3]], f, [x]).out, each(expected)));

it('means count what is there, over axes of run-time size too', () => {
  close(run([['B', 3]], mean, [x]).out, [each((v) => v).reduce((a, b) => a + b) / 6]);
  close(run([['B', 3]], (t) => meanOver(t, [0]), [x]).out, [1.75, -0.625, 1.5]);
  close(run([['B', 3]], (t) => meanOver(t, [1]), [x]).out, [0.5, 1.25]);
  close(run([['B', 3]], (t) => max(t, [1]), [x]).out, [2, 3]);
  const wide = randomTensor('f32', [5, 3], 3);
  close(run([['B', 3]], mean, [wide], 5).out, [wide.data.reduce((a, b) => a + b, 0) / 15]);
  const y = randomTensor('f32', [2, 3], 9);
  close(
    run(
      [
        ['B', 3],
        ['B', 3],
      ],
      mseLoss,
      [x, y],
    ).out,
    [x.data.reduce((sum, v, i) => sum + (v - y.data[i]!) ** 2, 0) / 6],
  );
  expect(() =>
    run(
      [
        ['B', 3],
        ['B', 1],
      ],
      mseLoss,
      [],
    ),
  ).toThrow('prediction and target must have one shape');
});

it('pads with zeros', () => {
  close(run([['B', 3]], (t) => pad(t, 1, 1, 2), [x]).out, [0, 0.5, -1, 2, 0, 0, 0, 3, -0.25, 1, 0, 0]);
});

const image = randomTensor('f32', [2, 4, 4, 2], 7);
const at = (b: number, y: number, xx: number, c: number): number => (y < 0 || xx < 0 || y > 3 || xx > 3 ? 0 : image.data[((b * 4 + y) * 4 + xx) * 2 + c]!);

it('patches are put together again, and are the squares of the image', () => {
  close(run([['B', 4, 4, 2]], (t) => unpatch(patches(t, 2), 2, 2, 2), [image]).out, [...image.data]);
  const deep = run([['B', 4, 4, 2]], spaceToDepth, [image]).out;
  expect(deep.shape).toEqual([2, 2, 2, 8]);
  expect([...deep.data.slice(8, 16)]).toEqual([
    at(0, 0, 2, 0),
    at(0, 0, 2, 1),
    at(0, 0, 3, 0),
    at(0, 0, 3, 1),
    at(0, 1, 2, 0),
    at(0, 1, 2, 1),
    at(0, 1, 3, 0),
    at(0, 1, 3, 1),
  ]);
  const large = run([['B', 4, 4, 2]], upsample, [image]).out;
  expect(large.shape).toEqual([2, 8, 8, 2]);
  expect(large.data[((1 * 8 + 5) * 8 + 3) * 2 + 1]).toBe(at(1, 2, 1, 1));
  expect(() => run([['B', 4, 4, 2]], (t) => patches(t, 3), [image])).toThrow('3 must divide height and width, found 4 and 4');
  expect(() => run([['B', 4]], (t) => patches(t, 2), [])).toThrow('an image is [batch, height, width, channels] with known sizes, found [B, 4]');
});

it('a convolution is Σ over the neighbours', () => {
  const { out, params } = run([['B', 4, 4, 2]], (t) => conv2d('conv', t, { inputs: 2, outputs: 3 }), [image]);
  const [weight, bias] = [params.get('conv.weight')!, params.get('conv.bias')!];
  const expected: number[] = [];
  for (let b = 0; b < 2; b++)
    for (let y = 0; y < 4; y++)
      for (let xx = 0; xx < 4; xx++)
        for (let o = 0; o < 3; o++) {
          let sum = bias.data[o]!;
          for (let k = 0; k < 9; k++)
            for (let c = 0; c < 2; c++) sum += at(b, y + Math.floor(k / 3) - 1, xx + (k % 3) - 1, c) * weight.data[(o * 9 + k) * 2 + c]!;
          expected.push(sum);
        }
  close(out, expected);
});

it('group normalisation leaves mean 0 and variance 1 in each group', () => {
  const { out, params } = run([['B', 4, 4, 2]], (t) => groupNorm('norm', t, 2, 0), [image]);
  const [weight, bias] = [params.get('norm.weight')!, params.get('norm.bias')!];
  for (const channel of [0, 1]) {
    const values = Array.from({ length: 16 }, (_, p) => (out.data[p * 2 + channel]! - bias.data[channel]!) / weight.data[channel]!);
    const average = values.reduce((a, b) => a + b) / 16;
    expect(average).toBeCloseTo(0, 9);
    expect(values.reduce((a, b) => a + b * b, 0) / 16).toBeCloseTo(1, 9);
  }
});
