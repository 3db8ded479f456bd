/** @file Pointwise ops. Each is a row of one table, since they share one shape rule.
 *
 * - (C1) operands broadcast against each other as in numpy. (C2) operands have equal dtypes.
 */

import { bin, call, neg, not } from '../../codegen/kernel/expr.ts';
import type { BinOp, Expr, Fn } from '../../codegen/kernel/ir.ts';
import { type Bind, cosOf, expOf, logOf, maxOf, minOf, signOf, sinOf, tanhOf } from '../../codegen/kernel/numerics.ts';
import { productOf } from '../../cost.ts';
import { at } from '../../errors.ts';
import { constraint } from '../constraint.ts';
import { broadcastShapes, type FuncBuilder, makeOp, type OpDef, type Sample } from '../define.ts';
import { widened } from '../element.ts';
import { type Domain, dtypesOf } from '../operands.ts';
import { broadcastAt, generate } from '../tensor.ts';
import { type DType, sameShape, type Type, typeText, type Value } from '../types.ts';
import { unbroadcast } from './unbroadcast.ts';

type Derivative = (c: { readonly b: FuncBuilder; readonly x: Value; readonly y: Value; readonly out: Value; readonly d: Value }) => readonly (Value | null)[];

interface Common {
  /** Dtypes of the operands. */
  readonly domain: Domain;
  readonly result?: 'bool';
  /** Cotangents of the operands from the cotangent `d` of the result. They have the result's shape; `gradients` undoes broadcasting. */
  readonly vjp?: Derivative;
  /** FLOPs of an element; default 1. */
  readonly flops?: number;
  /** Whether samples must be positive, to lie inside the function's domain. */
  readonly positive?: true;
  readonly traits?: Pick<OpDef, 'adds' | 'view' | 'inLoads'>;
  /** Whether the result equals the first operand if their shapes agree. `numberOf` returns the number of a constant, and null for other values. */
  readonly isFirst?: (y: Value | undefined, numberOf: (v: Value) => number | null) => boolean;
}
/**
 * A function of one or two numbers: `js` for the reference evaluator, and `expr` for kernels, whose operands may be vectors. `bind` names a value that
 * the expression reads several times.
 */
type Row = Common &
  (
    | { readonly js: (x: number) => number; readonly expr: (x: Expr, bind: Bind) => Expr; readonly arity: 1 }
    | {
        readonly js: (x: number, y: number) => number;
        /** Replaces `js` for 32-bit integers where the arithmetic of JS is not exact. */
        readonly integer?: (x: number, y: number) => number;
        readonly expr: (x: Expr, y: Expr, bind: Bind) => Expr;
        /** What a formula writes between the operands, for an operator of arithmetic or logic. */
        readonly sign?: string;
        readonly arity: 2;
      }
  );

const infix = (op: BinOp) => ({ sign: op, expr: (x: Expr, y: Expr): Expr => bin(op, x, y) });
const fn1 =
  (fn: Fn) =>
  (x: Expr): Expr =>
    call(fn, x);
/** Cotangents of the operands of max or min: `d` goes to the first if it wins, else to the second, and half to each if they tie (as torch.maximum). */
function shared(b: FuncBuilder, d: Value, wins: Value, ties: Value): [Value, Value] {
  const [zero, half] = [b.constant(0), b.op('mul', [d, b.constant(0.5)])];
  return [b.op('select', [wins, d, b.op('select', [ties, half, zero])]), b.op('select', [wins, zero, b.op('select', [ties, half, d])])];
}

const ROWS = {
  add: { arity: 2, domain: 'number', js: (x, y) => x + y, ...infix('+'), vjp: ({ d }) => [d, d], traits: { adds: true } },
  sub: { arity: 2, domain: 'number', js: (x, y) => x - y, ...infix('-'), vjp: ({ b, d }) => [d, b.op('neg', [d])] },
  mul: {
    arity: 2,
    domain: 'number',
    js: (x, y) => x * y,
    integer: Math.imul,
    ...infix('*'),
    vjp: ({ b, x, y, d }) => [b.op('mul', [d, y]), b.op('mul', [d, x])],
    traits: { inLoads: 'with a scalar' },
    isFirst: (y, numberOf) => y !== undefined && numberOf(y) === 1,
  },
  div: {
    arity: 2,
    domain: 'number',
    positive: true,
    js: (x, y) => x / y,
    ...infix('/'),
    vjp: ({ b, y, out, d }) => {
      const dx = b.op('div', [d, y]);
      return [dx, b.op('neg', [b.op('mul', [dx, out])])];
    },
  },
  max: {
    arity: 2,
    domain: 'number',
    js: Math.max,
    expr: maxOf,
    vjp: ({ b, x, y, d }) => shared(b, d, b.op('lt', [y, x]), b.op('eq', [x, y])),
  },
  min: {
    arity: 2,
    domain: 'number',
    js: Math.min,
    expr: minOf,
    vjp: ({ b, x, y, d }) => shared(b, d, b.op('lt', [x, y]), b.op('eq', [x, y])),
  },
  neg: { arity: 1, domain: 'number', js: (x) => -x, expr: neg, vjp: ({ b, d }) => [b.op('neg', [d])] },
  abs: { arity: 1, domain: 'number', js: Math.abs, expr: fn1('abs'), vjp: ({ b, x, d }) => [b.op('mul', [d, b.op('sign', [x])])] },
  sign: { arity: 1, domain: 'f32', js: Math.sign, expr: signOf, vjp: () => [null] },
  floor: { arity: 1, domain: 'f32', js: Math.floor, expr: fn1('floor'), vjp: () => [null] },
  exp: { arity: 1, domain: 'f32', flops: 4, js: Math.exp, expr: expOf, vjp: ({ b, out, d }) => [b.op('mul', [d, out])] },
  log: { arity: 1, domain: 'f32', flops: 4, positive: true, js: Math.log, expr: logOf, vjp: ({ b, x, d }) => [b.op('div', [d, x])] },
  sqrt: {
    arity: 1,
    domain: 'f32',
    positive: true,
    js: Math.sqrt,
    expr: fn1('sqrt'),
    vjp: ({ b, out, d }) => [b.op('div', [b.op('mul', [d, b.constant(0.5)]), out])],
  },
  rsqrt: {
    arity: 1,
    domain: 'f32',
    flops: 2,
    positive: true,
    js: (x) => 1 / Math.sqrt(x),
    expr: fn1('inverseSqrt'),
    vjp: ({ b, out, d }) => [b.op('mul', [b.op('mul', [d, b.constant(-0.5)]), b.op('mul', [out, b.op('mul', [out, out])])])],
  },
  tanh: {
    arity: 1,
    domain: 'f32',
    flops: 4,
    js: Math.tanh,
    expr: tanhOf,
    vjp: ({ b, out, d }) => [b.op('mul', [d, b.op('sub', [b.constant(1), b.op('mul', [out, out])])])],
  },
  sin: { arity: 1, domain: 'f32', flops: 4, js: Math.sin, expr: sinOf, vjp: ({ b, x, d }) => [b.op('mul', [d, b.op('cos', [x])])] },
  cos: { arity: 1, domain: 'f32', flops: 4, js: Math.cos, expr: cosOf, vjp: ({ b, x, d }) => [b.op('neg', [b.op('mul', [d, b.op('sin', [x])])])] },
  eq: { arity: 2, domain: 'number', result: 'bool', js: (x, y) => Number(x === y), ...infix('==') },
  lt: { arity: 2, domain: 'number', result: 'bool', js: (x, y) => Number(x < y), ...infix('<') },
  le: { arity: 2, domain: 'number', result: 'bool', js: (x, y) => Number(x <= y), ...infix('<=') },
  ge: { arity: 2, domain: 'number', result: 'bool', js: (x, y) => Number(x >= y), ...infix('>=') },
  and: { arity: 2, domain: 'bool', js: (x, y) => Number(x !== 0 && y !== 0), ...infix('&&') },
  or: { arity: 2, domain: 'bool', js: (x, y) => Number(x !== 0 || y !== 0), ...infix('||') },
  not: { arity: 1, domain: 'bool', js: (x) => Number(x === 0), expr: not },
  bit_xor: { arity: 2, domain: 'bits', js: (x, y) => (x ^ y) >>> 0, ...infix('^') },
  bit_and: { arity: 2, domain: 'bits', js: (x, y) => (x & y) >>> 0, ...infix('&') },
  shift_right: { arity: 2, domain: 'bits', js: (x, y) => x >>> y, ...infix('>>') },
  shift_left: { arity: 2, domain: 'bits', js: (x, y) => (x << y) >>> 0, ...infix('<<') },
  // Gives a value bytes of its own, which a function needs that returns one value twice, or one of its parameters.
  copy: { arity: 1, domain: 'plain', flops: 0, js: (x) => x, expr: (x) => x, vjp: ({ d }) => [d], traits: { view: true } },
  stop_gradient: { arity: 1, domain: 'f32', flops: 0, js: (x) => x, expr: (x) => x, vjp: () => [null], isFirst: () => true },
} as const satisfies Readonly<Record<string, Row>>;

/** A result of JS arithmetic, wrapped as the device's 32-bit integers wrap it. */
function wrapped(dtype: DType, value: number): number {
  return dtype === 'u32' ? value >>> 0 : dtype === 'i32' ? Math.trunc(value) | 0 : value;
}

function samplesOf(row: Row): readonly Sample[] {
  const dtype = at(dtypesOf(row.domain), 0);
  const x: Type = { dtype, shape: [2, 3, 4] };
  const values = (n: number): number[] =>
    Array.from({ length: n }, (_, i) => {
      const v = Math.sin(i * 12.9898 + 1) * 2;
      if (row.domain === 'bool') return Number(v > 0);
      if (row.domain === 'bits') return Math.abs(Math.round(v * 10)) % 20;
      return row.positive ? Math.abs(v) + 0.5 : v;
    });
  if (row.arity === 1) return [{ types: [x], values: { 0: values(24) } }];
  return [
    { types: [x, x], values: { 0: values(24), 1: values(25).slice(1) } },
    { types: [x, { dtype, shape: [4] }], values: { 0: values(24), 1: values(5).slice(1) } },
    { types: [{ dtype, shape: [2, 3, 1] }, x], values: { 0: values(6), 1: values(25).slice(1) } },
  ];
}

/** Cotangents of the operands that need one, summed over the axes that the operands broadcast along. */
function gradients(
  row: Row,
  c: { readonly b: FuncBuilder; readonly results: readonly Value[]; readonly d: Value },
  operands: readonly Value[],
  needs: readonly boolean[],
) {
  const x = at(operands, 0);
  const found = row.vjp?.({ b: c.b, x, y: operands[1] ?? x, out: at(c.results, 0), d: c.d }) ?? [];
  return operands.map((operand, i) => (needs[i] && found[i] ? unbroadcast(c.b, found[i], operand.type) : null));
}

/** Makes a pointwise op from its row. */
export function pointwiseOp<const N extends string>(name: N, row: Row): OpDef & { readonly name: N; readonly kind: 'pointwise' } {
  const dtype = at(dtypesOf(row.domain), 0);
  const common = {
    name,
    kind: 'pointwise',
    perElement: row.flops ?? 1,
    ...row.traits,
    flops: (_types: unknown, results: readonly Type[]) => productOf([row.flops ?? 1, ...at(results, 0).shape]),
    samples: samplesOf(row),
  } as const;
  if (row.arity === 1)
    return makeOp({
      ...common,
      operands: { x: row.domain },
      infer: ({ x }) => ({ dtype: row.result ?? x.dtype, shape: x.shape }),
      evaluate: ({ x }) => ({ dtype: row.result ?? x.dtype, shape: x.shape, data: x.data.map((v) => wrapped(row.result ?? x.dtype, row.js(v))) }),
      vjp: row.vjp ? (c, { x }) => ({ x: gradients(row, c, [x], [c.needs.x])[0] ?? null }) : undefined,
      element: (place) => row.expr(widened(place.same('x'), place.width), place.bind),
      identity: ({ x }, _result, _attrs, numberOf) => (row.isFirst?.(undefined, numberOf) ? x : null),
      rejects: [{ constraint: 'C0', types: [{ dtype: 'bf16', shape: [2] }] }],
    });
  return makeOp({
    ...common,
    ...(row.sign === undefined ? {} : { sign: row.sign }),
    operands: { x: row.domain, y: row.domain },
    infer: ({ x, y }) => {
      constraint(x.dtype === y.dtype, name, 'C2', () => `operands must be equal in dtype, found ${typeText(x)} and ${typeText(y)}`);
      return { dtype: row.result ?? x.dtype, shape: broadcastShapes([x, y], name, 'C1') };
    },
    evaluate: ({ x, y }, _attrs, { shape }) => {
      const to = row.result ?? x.dtype;
      const js = x.dtype === 'f32' ? row.js : (row.integer ?? row.js);
      return generate(to, shape, (index) => wrapped(to, js(broadcastAt(x, index), broadcastAt(y, index))));
    },
    vjp: row.vjp
      ? (c, { x, y }) => {
          const [dx = null, dy = null] = gradients(row, c, [x, y], [c.needs.x, c.needs.y]);
          return { x: dx, y: dy };
        }
      : undefined,
    element: (place) => row.expr(widened(place.same('x'), place.width), widened(place.same('y'), place.width), place.bind),
    identity: ({ x, y }, { shape }, _attrs, numberOf) => (sameShape(x.type.shape, shape) && row.isFirst?.(y, numberOf) ? x : null),
    rejects: [
      {
        constraint: 'C1',
        types: [
          { dtype, shape: [2, 3] },
          { dtype, shape: [2] },
        ],
      },
      ...(dtypesOf(row.domain).length > 1
        ? [
            {
              constraint: 'C2',
              types: [
                { dtype, shape: [2] },
                { dtype: at(dtypesOf(row.domain), 1), shape: [2] },
              ],
            },
          ]
        : []),
      { constraint: 'C0', types: [0, 1].map(() => ({ dtype: 'bf16', shape: [2] }) as const) },
    ],
  });
}

type PointwiseName = keyof typeof ROWS;
type PointwiseOp = { [N in PointwiseName]: OpDef & { readonly name: N; readonly kind: 'pointwise' } }[PointwiseName];

export const pointwiseOps = Object.entries(ROWS).map(([name, row]) => pointwiseOp(name as PointwiseName, row)) as readonly PointwiseOp[];
