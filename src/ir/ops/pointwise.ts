/** @file Pointwise ops: one row each, since they share one shape rule.
 *
 * - (C1) operands broadcast against each other as in numpy.
 * - (C2) operands have equal dtypes, of the kind the row names: `number` f32, i32 or u32; `float` f32; `bits` u32 or i32; `bool`; `any` of them.
 */

import { productOf } from '../../cost.ts';
import { broadcastShapes, constraint, type OpDef, operand, type Sample, type VjpContext } from '../define.ts';
import { broadcastAt, generate } from '../tensor.ts';
import { type DType, type Type, typeText, type Value } from '../types.ts';
import { unbroadcast } from './unbroadcast.ts';

type Domain = 'number' | 'float' | 'bits' | 'bool' | 'any';
const DOMAINS: Record<Domain, readonly DType[]> = {
  number: ['f32', 'i32', 'u32'],
  float: ['f32'],
  bits: ['u32', 'i32'],
  bool: ['bool'],
  any: ['f32', 'i32', 'u32', 'bool'],
};

/** How kernels spell an op: an infix or prefix operator, or a function they share with WGSL. */
export type KernelSpelling = { readonly infix: string } | { readonly prefix: string } | { readonly fn: string };

type Derivative = (c: { b: VjpContext['b']; x: Value; y: Value; out: Value; d: Value }) => readonly [Value | null, (Value | null)?];

interface Row {
  readonly arity: 1 | 2;
  readonly domain: Domain;
  readonly result?: 'bool';
  readonly js: (x: number, y: number) => number;
  readonly kernel: KernelSpelling;
  /** Cotangents of the operands from the cotangent `d` of the result; before broadcasting is undone. */
  readonly vjp?: Derivative;
  readonly flops?: number;
  /** Keeps samples inside the function's domain. */
  readonly positive?: true;
}

/** Cotangents of the larger or smaller of two operands: `d` goes to the first where it wins, and half to each where they tie (as torch.maximum). */
function shared(b: VjpContext['b'], d: Value, wins: Value, ties: Value): [Value, Value] {
  const [zero, half] = [b.constant(0), b.op('mul', [d, b.constant(0.5)])];
  return [b.op('select', [wins, d, b.op('select', [ties, half, zero])]), b.op('select', [wins, zero, b.op('select', [ties, half, d])])];
}

const ROWS: Record<string, Row> = {
  add: { arity: 2, domain: 'number', js: (x, y) => x + y, kernel: { infix: '+' }, vjp: ({ d }) => [d, d] },
  sub: { arity: 2, domain: 'number', js: (x, y) => x - y, kernel: { infix: '-' }, vjp: ({ b, d }) => [d, b.op('neg', [d])] },
  mul: { arity: 2, domain: 'number', js: (x, y) => x * y, kernel: { infix: '*' }, vjp: ({ b, x, y, d }) => [b.op('mul', [d, y]), b.op('mul', [d, x])] },
  div: {
    arity: 2,
    domain: 'number',
    positive: true,
    js: (x, y) => x / y,
    kernel: { infix: '/' },
    vjp: ({ b, y, out, d }) => {
      const dx = b.op('div', [d, y]);
      return [dx, b.op('neg', [b.op('mul', [dx, out])])];
    },
  },
  max: {
    arity: 2,
    domain: 'number',
    js: Math.max,
    kernel: { fn: 'max' },
    vjp: ({ b, x, y, d }) => shared(b, d, b.op('lt', [y, x]), b.op('eq', [x, y])),
  },
  min: {
    arity: 2,
    domain: 'number',
    js: Math.min,
    kernel: { fn: 'min' },
    vjp: ({ b, x, y, d }) => shared(b, d, b.op('lt', [x, y]), b.op('eq', [x, y])),
  },
  neg: { arity: 1, domain: 'number', js: (x) => -x, kernel: { prefix: '-' }, vjp: ({ b, d }) => [b.op('neg', [d])] },
  abs: { arity: 1, domain: 'number', js: Math.abs, kernel: { fn: 'abs' }, vjp: ({ b, x, d }) => [b.op('mul', [d, b.op('sign', [x])])] },
  sign: { arity: 1, domain: 'float', js: Math.sign, kernel: { fn: 'sign' }, vjp: () => [null] },
  floor: { arity: 1, domain: 'float', js: Math.floor, kernel: { fn: 'floor' }, vjp: () => [null] },
  exp: { arity: 1, domain: 'float', flops: 4, js: Math.exp, kernel: { fn: 'exp' }, vjp: ({ b, out, d }) => [b.op('mul', [d, out])] },
  log: { arity: 1, domain: 'float', flops: 4, positive: true, js: Math.log, kernel: { fn: 'log' }, vjp: ({ b, x, d }) => [b.op('div', [d, x])] },
  sqrt: {
    arity: 1,
    domain: 'float',
    positive: true,
    js: Math.sqrt,
    kernel: { fn: 'sqrt' },
    vjp: ({ b, out, d }) => [b.op('div', [b.op('mul', [d, b.constant(0.5)]), out])],
  },
  rsqrt: {
    arity: 1,
    domain: 'float',
    flops: 2,
    positive: true,
    js: (x) => 1 / Math.sqrt(x),
    kernel: { fn: 'inverseSqrt' },
    vjp: ({ b, out, d }) => [b.op('mul', [b.op('mul', [d, b.constant(-0.5)]), b.op('mul', [out, b.op('mul', [out, out])])])],
  },
  tanh: {
    arity: 1,
    domain: 'float',
    flops: 4,
    js: Math.tanh,
    kernel: { fn: 'tanh' },
    vjp: ({ b, out, d }) => [b.op('mul', [d, b.op('sub', [b.constant(1), b.op('mul', [out, out])])])],
  },
  sin: { arity: 1, domain: 'float', flops: 4, js: Math.sin, kernel: { fn: 'sin' }, vjp: ({ b, x, d }) => [b.op('mul', [d, b.op('cos', [x])])] },
  cos: { arity: 1, domain: 'float', flops: 4, js: Math.cos, kernel: { fn: 'cos' }, vjp: ({ b, x, d }) => [b.op('neg', [b.op('mul', [d, b.op('sin', [x])])])] },
  eq: { arity: 2, domain: 'number', result: 'bool', js: (x, y) => Number(x === y), kernel: { infix: '==' } },
  lt: { arity: 2, domain: 'number', result: 'bool', js: (x, y) => Number(x < y), kernel: { infix: '<' } },
  le: { arity: 2, domain: 'number', result: 'bool', js: (x, y) => Number(x <= y), kernel: { infix: '<=' } },
  ge: { arity: 2, domain: 'number', result: 'bool', js: (x, y) => Number(x >= y), kernel: { infix: '>=' } },
  and: { arity: 2, domain: 'bool', js: (x, y) => Number(x !== 0 && y !== 0), kernel: { infix: '&&' } },
  or: { arity: 2, domain: 'bool', js: (x, y) => Number(x !== 0 || y !== 0), kernel: { infix: '||' } },
  not: { arity: 1, domain: 'bool', js: (x) => Number(x === 0), kernel: { prefix: '!' } },
  bit_xor: { arity: 2, domain: 'bits', js: (x, y) => (x ^ y) >>> 0, kernel: { infix: '^' } },
  bit_and: { arity: 2, domain: 'bits', js: (x, y) => (x & y) >>> 0, kernel: { infix: '&' } },
  shift_right: { arity: 2, domain: 'bits', js: (x, y) => x >>> y, kernel: { infix: '>>' } },
  shift_left: { arity: 2, domain: 'bits', js: (x, y) => (x << y) >>> 0, kernel: { infix: '<<' } },
  // a second home for a value: two results that are one tensor each need bytes of their own
  copy: { arity: 1, domain: 'any', flops: 0, js: (x) => x, kernel: { fn: 'identity' }, vjp: ({ d }) => [d] },
  stop_gradient: { arity: 1, domain: 'float', flops: 0, js: (x) => x, kernel: { fn: 'identity' }, vjp: () => [null] },
};

/** Wraps a result of JS arithmetic to what the device's 32-bit integers hold. */
function wrap(dtype: DType, value: number, product?: readonly [number, number]): number {
  if (dtype === 'u32') return (product ? Math.imul(product[0], product[1]) : value) >>> 0;
  if (dtype === 'i32') return (product ? Math.imul(product[0], product[1]) : Math.trunc(value)) | 0;
  return value;
}

function samplesOf(row: Row): readonly Sample[] {
  const dtype = DOMAINS[row.domain][0] ?? 'f32';
  const x: Type = { dtype, shape: [2, 3, 4] };
  const values = (n: number): number[] =>
    Array.from({ length: n }, (_, i) => {
      const v = Math.sin(i * 12.9898 + 1) * 2;
      if (row.domain === 'bool') return Number(v > 0);
      if (row.domain === 'bits') return Math.abs(Math.round(v * 10)) % 20;
      return row.positive ? Math.abs(v) + 0.5 : v;
    });
  const one = { types: [x], values: { 0: values(24) } };
  if (row.arity === 1) return [one];
  return [
    { types: [x, x], values: { 0: values(24), 1: values(25).slice(1) } },
    { types: [x, { dtype, shape: [4] }], values: { 0: values(24), 1: values(5).slice(1) } },
    { types: [{ dtype, shape: [2, 3, 1] }, x], values: { 0: values(6), 1: values(25).slice(1) } },
  ];
}

function define(name: string, row: Row): OpDef {
  const infer: OpDef['infer'] = (types) => {
    const first = operand(types, 0, name);
    for (const type of types) {
      constraint(
        type.dtype === first.dtype && DOMAINS[row.domain].includes(type.dtype),
        name,
        'C2',
        () => `operands must be equal in dtype and one of ${DOMAINS[row.domain].join(', ')}, found ${types.map(typeText).join(' and ')}`,
      );
    }
    constraint(types.length === row.arity, name, 'C0', () => `takes ${row.arity} operands, found ${types.length}`);
    return [{ dtype: row.result ?? first.dtype, shape: broadcastShapes(types, name, 'C1') }];
  };
  const { vjp } = row;
  return {
    name,
    kind: 'pointwise',
    infer,
    evaluate: (inputs, _attrs, _sizes, types) => {
      const [x, y] = inputs;
      const shape = types[0]?.shape as readonly number[];
      if (x === undefined) throw new Error(`${name}: no operand`);
      const dtype = row.result ?? x.dtype;
      return [
        generate(dtype, shape, (index) => {
          const a = broadcastAt(x, index);
          const b = y ? broadcastAt(y, index) : 0;
          return wrap(dtype, row.js(a, b), name === 'mul' ? [a, b] : undefined);
        }),
      ];
    },
    ...(vjp
      ? {
          vjp: ({ b, operands, results, cotangents, needs }) => {
            const [x, y = operands[0]] = operands;
            const [out] = results;
            const d = cotangents[0];
            if (!x || !y || !out || !d) return operands.map(() => null);
            const grads = vjp({ b, x, y, out, d });
            return operands.map((o, i) => (needs[i] && grads[i] ? unbroadcast(b, grads[i], o.type) : null));
          },
        }
      : {}),
    flops: (_in, results) => productOf([pointwiseFlops(name), ...operand(results, 0, name).shape]),
    samples: samplesOf(row),
    rejects: [
      ...(row.arity === 2
        ? [
            {
              constraint: 'C1',
              types: [
                { dtype: DOMAINS[row.domain][0] ?? 'f32', shape: [2, 3] },
                { dtype: DOMAINS[row.domain][0] ?? 'f32', shape: [2] },
              ],
            },
          ]
        : []),
      { constraint: 'C2', types: Array.from({ length: row.arity }, () => ({ dtype: 'bf16', shape: [2] }) as const) },
    ],
  };
}

export const pointwiseOps: readonly OpDef[] = Object.entries(ROWS).map(([name, row]) => define(name, row));

/** FLOPs of one element of a pointwise op. */
export function pointwiseFlops(name: string): number {
  return ROWS[name]?.flops ?? 1;
}

/** How kernels spell a pointwise op, or undefined for other ops. */
export function kernelSpelling(name: string): KernelSpelling | undefined {
  return ROWS[name]?.kernel;
}
