/** @file Which ids an input may hold is found wherever the model looks them up: in other shapes, in other functions, in parts of a vocabulary. */

import { idRanges } from '../../src/compile/ranges.ts';
import type { Value } from '../../src/ir/types.ts';
import { param, section, unit } from '../../src/trace/context.ts';
import { mean } from '../../src/trace/math.ts';
import { add, crossEntropy, embedding, linear, matmul, reshape, slice, tanh } from '../../src/trace/nn.ts';
import { traceModel } from '../../src/trace/trace.ts';
import { tinyConfig, tinyModel } from '../support/tinyModels.ts';

const rangesOf = (build: (ids: Value, targets: Value) => Value): Record<string, unknown> =>
  Object.fromEntries(
    idRanges(
      traceModel(
        { inputs: { ids: { dtype: 'i32', shape: ['B', 4] }, targets: { dtype: 'i32', shape: ['B', 4] } }, build: ({ ids, targets }) => build(ids!, targets!) },
        { dims: { B: 2 } },
      ).module,
    ),
  );
const table = (name: string, rows: number): Value => param(name, [rows, 3]);
const rows = (name: string, below: number): object => ({ least: 0, below, of: `table ${name} has rows` });
const step = (x: Value, name: string): Value => unit(name, x, (y) => tanh(linear(`${name}.w`, y, { inputs: 3, outputs: 3 })));

it.each<[string, (ids: Value, targets: Value) => Value, object]>([
  ['a table', (ids) => mean(embedding(table('words', 9), ids)), { ids: rows('words', 9) }],
  ['the smaller of two tables', (ids) => mean(add(embedding(table('a', 9), ids), embedding(table('b', 7), ids))), { ids: rows('b', 7) }],
  ['part of the ids, in another shape', (ids) => mean(embedding(table('words', 9), reshape(slice(ids, 1, 0, 2), ['B', 1, 2]))), { ids: rows('words', 9) }],
  [
    'another shape that a function hands on',
    (ids) => {
      const x = step(embedding(table('words', 9), ids), 'one');
      const flat = section('flat', () => reshape(ids, ['B', 2, 2]));
      return add(mean(step(x, 'two')), mean(step(embedding(table('few', 5), flat), 'three')));
    },
    { ids: rows('few', 5) },
  ],
  ['a table that is computed', (ids) => mean(embedding(matmul(param('base', [6, 2]), param('wide', [2, 3])), ids)), { ids: { least: 0, below: 6 } }],
  [
    'classes of a loss, which may be none',
    (ids, targets) => crossEntropy(matmul(embedding(table('words', 9), ids), param('head', [3, 8])), targets),
    { ids: rows('words', 9), targets: { least: null, below: 8, of: 'the loss has classes' } },
  ],
  ['inputs and targets at once', (ids) => crossEntropy(matmul(embedding(table('words', 9), ids), param('head', [3, 12])), ids), { ids: rows('words', 9) }],
])('%s', (_name, build, expected) => {
  expect(rangesOf(build)).toMatchObject(expected);
  expect(Object.keys(rangesOf(build))).toEqual(Object.keys(expected));
});

it.each([undefined, 40 * 18])('a language model: tokens and classes of its vocabulary, logits kept %p', (logitsKept) => {
  const { vocabSize } = tinyConfig();
  const found = idRanges(tinyModel({ tie: false, ...(logitsKept === undefined ? {} : { logitsKept }) }).module);
  expect(found.get('tokens')).toMatchObject({ least: 0, below: vocabSize });
  expect(found.get('targets')).toMatchObject({ least: null, below: vocabSize });
  expect(found.has('segments')).toBe(false);
});
