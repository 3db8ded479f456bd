/**
 * @file Random whole models for property tests: units, sections and loose trunk between them, with tensors, scalars, masks and other
 * shapes of one tensor crossing functions in every direction, tied and learned scalars, several losses.
 */

import * as fc from 'fast-check';
import { randomTensor, type Tensor, tensor } from '../../src/ir/tensor.ts';
import type { Dim, Value } from '../../src/ir/types.ts';
import { activeTrace, param, section, unit } from '../../src/trace/context.ts';
import { less, log, mean, meanOver, select, softplus, sqrt, square } from '../../src/trace/math.ts';
import {
  add,
  crossEntropy,
  div,
  embedding,
  exp,
  gelu,
  linear,
  matmul,
  mul,
  reshape,
  rmsNorm,
  sigmoid,
  softmax,
  stopGradient,
  tanh,
} from '../../src/trace/nn.ts';
import { type TracedModel, traceModel } from '../../src/trace/trace.ts';

/** One step: an action by number; tensors, scalars and variants by number. */
export type Step = readonly [action: number, a: number, b: number, c: number];

/** What a model is made of, small enough to be read when a property fails. */
export interface Recipe {
  readonly steps: readonly Step[];
  readonly end: readonly [ending: number, tie: number];
  /** Whether batch and length are numbers rather than run-time dimensions. */
  readonly fixed: boolean;
}

const WIDTH = 4;
const VOCABULARY = 7;
export const BOUNDS = { B: 3, T: 4 };

/** What the definition has so far. */
interface State {
  readonly dims: readonly [batch: Dim, length: Dim];
  readonly tokens: Value;
  readonly streams: Value[];
  readonly scalars: Value[];
  readonly masks: Value[];
  readonly sums: Value[];
  count: number;
}

const pick = <T>(list: readonly T[], n: number): T => list[n % list.length]!;

/** A parameter of its own, or one that earlier steps declared too. */
function weight(s: State, shape: readonly number[], tie: number): Value {
  const known = activeTrace().params;
  const alike = [...known.values()].filter((p) => p.shape.join() === shape.join()).map((p) => p.name);
  if (tie % 3 === 0 && alike.length > 0) return param(pick(alike, tie), shape, { tied: true });
  return param(`p${s.count++}`, shape);
}

function activation(x: Value, n: number): Value {
  return [tanh, gelu, sigmoid, (y: Value) => rmsNorm(y, param(`norm${n}_${activeTrace().b.added.length}`, [WIDTH]), 1e-2), softmax][n % 5]!(x);
}

const scalarOf = (x: Value, n: number): Value =>
  [() => mean(square(x)), () => mean(tanh(x)), () => mean(mul(x, 0.5)), () => sqrt(add(mean(square(x)), 0.1))][n % 4]!();

const dense = (s: State, x: Value, tie: number): Value => matmul(x, weight(s, [WIDTH, WIDTH], tie));

/** A scalar of the model or, for some numbers, a learned one, f32[] or f32[1]. */
function anyScalar(s: State, n: number): Value {
  if (n % 4 === 1) return reshape(weight(s, [1], n), []);
  return n % 4 === 2 || s.scalars.length === 0 ? weight(s, [], n) : pick(s.scalars, n);
}

const ACTIONS: readonly ((s: State, a: number, b: number, c: number) => void)[] = [
  // a unit; its branch may read scalars, masks and other streams, and hand out scalars or tensors
  (s, a, b, c) => {
    const x = pick(s.streams, a);
    const other = pick(s.streams, b);
    const leaked: Value[] = [];
    const y = unit(`units.${s.count++}`, x, (h) => {
      let z = activation(dense(s, h, c), b);
      if (a % 2 === 1) z = mul(z, anyScalar(s, b));
      if (b % 3 === 1) z = add(z, tanh(mul(other, 0.3)));
      if (c % 3 === 1 && s.masks.length > 0) z = select(pick(s.masks, c), z, mul(z, 0.5));
      if (c % 4 === 2) leaked.push(scalarOf(z, c));
      if (b % 5 === 2) leaked.push(tanh(z));
      return a % 3 === 2 ? dense(s, z, b) : z;
    });
    for (const v of leaked) (v.type.shape.length === 0 ? s.scalars : s.streams).push(v);
    s.streams.push(y);
    s.sums.push(y);
  },
  // a unit over a scalar
  (s, a, b) => {
    if (s.scalars.length === 0) return;
    const x = pick(s.scalars, a);
    const y = unit(`units.${s.count++}`, x, (h) => tanh(mul(h, weight(s, [], b))));
    s.scalars.push(y);
    s.sums.push(y);
  },
  // a unit whose stream is a parameter
  (s, a, b) => {
    const y = unit(`units.${s.count++}`, weight(s, [WIDTH], a), (h) => tanh(mul(h, weight(s, [WIDTH], b))));
    s.sums.push(y);
    s.streams.push(mul(pick(s.streams, a), y));
  },
  // a named section with several results
  (s, a, b, c) => {
    const x = pick(s.streams, a);
    const [y, loss] = section(
      `part.${s.count++}`,
      () => {
        const h = activation(dense(s, x, b), c);
        return [h, mul(scalarOf(h, c), anyScalar(s, b))] as const;
      },
      { again: c % 3 === 0 },
    );
    s.streams.push(y);
    s.scalars.push(loss);
  },
  // loose trunk: scalars of streams, and of scalars
  (s, a, b) => void s.scalars.push(scalarOf(pick(s.streams, a), b)),
  (s, a, b, c) => {
    const [x, y] = [anyScalar(s, a), anyScalar(s, b)];
    s.scalars.push([() => mul(x, y), () => exp(tanh(x)), () => div(x, add(square(y), 1)), () => softplus(add(x, y)), () => log(add(square(x), 1.5))][c % 5]!());
  },
  (s, a, b, c) => {
    const [x, y] = [pick(s.streams, a), pick(s.streams, b)];
    s.streams.push([() => mul(x, anyScalar(s, b)), () => add(x, y), () => mul(x, weight(s, [WIDTH], c)), () => tanh(mul(x, y))][c % 4]!());
  },
  // other shapes of one tensor, in functions of their own or not
  (s, a, b) => {
    const x = pick(s.streams, a);
    const halves = (): Value => reshape(x, [...s.dims, 2, WIDTH / 2]);
    const other = b % 2 === 0 ? section(`shape.${s.count++}`, halves) : halves();
    s.scalars.push(mean(mul(other, other)));
    s.streams.push(reshape(tanh(other), [...s.dims, WIDTH]), reshape(other, [...s.dims, WIDTH]));
  },
  // what has no derivative, also as a function of its own
  (s, a, b) => {
    const x = pick(s.streams, a);
    s.streams.push(b % 2 === 0 ? section(`stop.${s.count++}`, () => stopGradient(x)) : stopGradient(x));
    if (s.scalars.length > 0 && b % 3 === 0) s.scalars.push(stopGradient(pick(s.scalars, b)));
  },
  (s, a, b) => void s.masks.push(less(pick(s.streams, a), b % 2 === 0 ? 0.1 : anyScalar(s, b))),
  // a section that does nothing
  (s, a) => {
    const x = pick(s.streams, a);
    s.streams.push(section(`same.${s.count++}`, () => mul(x, 1)));
  },
  // many scalars at once, each read by another unit
  (s, a, b, c) => {
    const x = pick(s.streams, a);
    const made = section(`many.${s.count++}`, () => Array.from({ length: 4 + (b % 2) }, (_, i) => scalarOf(mul(x, weight(s, [WIDTH], b + i)), i + c)));
    let y = x;
    for (const [i, m] of made.entries()) {
      y = unit(`units.${s.count++}`, y, (h) => mul(tanh(dense(s, h, c + i)), m));
      s.sums.push(y);
    }
    s.streams.push(y);
  },
  // rows of a table by ids, and a table's rows again
  (s, _a, b) => void s.streams.push(embedding(weight(s, [VOCABULARY, WIDTH], b), s.tokens)),
  (s, a, b) => void s.streams.push(linear(`linear${s.count++}`, pick(s.streams, a), { inputs: WIDTH, outputs: WIDTH, bias: b % 2 === 0 })),
  (s, a) => {
    const x = pick(s.streams, a);
    s.streams.push(mul(x, meanOver(x, [a % 2])));
  },
  // rows as columns, and columns as rows
  (s, a, b) => {
    const x = pick(s.streams, a);
    const columns = reshape(meanOver(x, [2]), [...s.dims]);
    s.scalars.push(b % 2 === 0 ? mean(square(columns)) : mean(softmax(columns)));
    s.streams.push(add(x, reshape(tanh(columns), [...s.dims, 1])));
  },
];

/** The model of a recipe. */
export function modelOf({ steps, end: [ending, tie], fixed }: Recipe): TracedModel {
  const dims = fixed ? ([BOUNDS.B, BOUNDS.T] as const) : (['B', 'T'] as const);
  return traceModel(
    {
      inputs: { tokens: { dtype: 'i32', shape: dims }, targets: { dtype: 'i32', shape: dims }, x: { dtype: 'f32', shape: [...dims, WIDTH] } },
      build: ({ tokens, targets, x }) => {
        const table = param('table', [VOCABULARY, WIDTH]);
        const s: State = { dims, tokens: tokens!, streams: [x!, embedding(table, tokens!)], scalars: [], masks: [], sums: [], count: 0 };
        for (const [action, a, b, c] of steps) pick(ACTIONS, action)(s, a, b, c);
        const read = new Set(activeTrace().b.added.flatMap((op) => op.operands));
        const unread = s.sums.filter((v) => !read.has(v)).map((v) => mean(square(v)));
        const head = tie % 2 === 0 ? table : param('head', [VOCABULARY, WIDTH]);
        const main = crossEntropy(matmul(s.streams.at(-1)!, head, true), targets!);
        const losses = [...s.scalars.slice(-3), ...unread].reduce((sum, v, i) => add(sum, mul(v, 0.1 + 0.2 * i)), main);
        const loss = [
          () => losses,
          () => sqrt(add(square(losses), 0.3)),
          () => exp(tanh(losses)),
          () => unit('last', losses, (h) => tanh(mul(h, param('last', [])))),
          () => section('total', () => mul(losses, anyScalar(s, ending))),
        ][ending % 5]!();
        const more = [[], [loss], [s.streams.at(-1)!], [x!, ...s.scalars.slice(-1)]][tie % 4]!;
        return [loss, ...more];
      },
    },
    { dims: fixed ? {} : BOUNDS },
  );
}

/** Recipes of any models at all. */
export function randomRecipe(maxSteps = 9): fc.Arbitrary<Recipe> {
  const n = fc.nat(1000);
  return fc.record({ steps: fc.array(fc.tuple(n, n, n, n), { minLength: 3, maxLength: maxSteps }), end: fc.tuple(n, n), fixed: fc.boolean() });
}

/** Parameters and inputs of a size, by name. */
export function randomValues({ params }: TracedModel, { B, T }: { readonly B: number; readonly T: number }, seed: number): ReadonlyMap<string, Tensor> {
  const ids = (offset: number): Tensor =>
    tensor(
      'i32',
      [B, T],
      Array.from({ length: B * T }, (_, i) => (i * 5 + seed + offset) % VOCABULARY),
    );
  return new Map<string, Tensor>([
    ...params.map((p, i): [string, Tensor] => [p.name, randomTensor('f32', p.shape, seed + 17 * i, p.name.startsWith('norm') ? 1.5 : 0.8)]),
    ['tokens', ids(0)],
    ['targets', ids(3)],
    ['x', randomTensor('f32', [B, T, WIDTH], seed + 3)],
  ]);
}
