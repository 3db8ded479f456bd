/** @file Ops that are defined by their decomposition alone: activations, norms, softmax, dropout, the residual add. */

import { constraint } from '../constraint.ts';
import { type FuncBuilder, shapeToAttr } from '../define.ts';
import { sameShape, type Type, typeText, type Value } from '../types.ts';
import { composite, F, lastAxis } from './composite.ts';

function unary<const N extends string>(name: N, build: (b: FuncBuilder, x: Value) => Value) {
  return composite({ name, operands: { x: 'f32' }, samples: [{ types: [F(2, 3)] }], decompose: (b, { x }) => build(b, x) });
}

/** 1/(1+e^-x). */
const sigmoid = unary('sigmoid', (b, x) => b.op('div', [b.constant(1), b.op('add', [b.constant(1), b.op('exp', [b.op('neg', [x])])])]));
/** x·σ(x) (Elfwing et al. 2017). */
const silu = unary('silu', (b, x) => b.op('mul', [x, b.op('sigmoid', [x])]));
/** max(x, 0), whose derivative at 0 is 0 (as in torch). */
const relu = unary('relu', (b, x) => b.op('select', [b.op('le', [x, b.constant(0)]), b.constant(0), x]));
/** ½x(1+tanh(√(2/π)(x+0.044715x³))), as in GPT-2 (`gelu_new`). */
const geluTanh = unary('gelu_tanh', (b, x) => {
  const cube = b.op('mul', [x, b.op('mul', [x, x])]);
  const inner = b.op('mul', [b.constant(Math.sqrt(2 / Math.PI)), b.op('add', [x, b.op('mul', [b.constant(0.044715), cube])])]);
  return b.op('mul', [b.op('mul', [b.constant(0.5), x]), b.op('add', [b.constant(1), b.op('tanh', [inner])])]);
});
/** ½x(1+erf(x/√2)); erf by Abramowitz & Stegun 7.1.26, |error| < 1.5e-7. */
const gelu = unary('gelu', (b, x) => {
  const z = b.op('mul', [x, b.constant(Math.SQRT1_2)]);
  const t = b.op('div', [b.constant(1), b.op('add', [b.constant(1), b.op('mul', [b.constant(0.3275911), b.op('abs', [z])])])]);
  const poly = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592]
    .map((c) => b.constant(c))
    .reduce((sum, c) => b.op('add', [b.op('mul', [sum, t]), c]));
  const tail = b.op('mul', [b.op('mul', [poly, t]), b.op('exp', [b.op('neg', [b.op('mul', [z, z])])])]);
  const erf = b.op('mul', [b.op('sign', [z]), b.op('sub', [b.constant(1), tail])]);
  return b.op('mul', [b.op('mul', [b.constant(0.5), x]), b.op('add', [b.constant(1), erf])]);
});

/** `swiglu %gate, %up`: silu(gate)·up (Shazeer 2020). (C1) gate and up have the same type. */
const swiglu = composite({
  name: 'swiglu',
  operands: { gate: 'f32', up: 'f32' },
  infer: ({ gate, up }) => {
    constraint(sameShape(gate.shape, up.shape), 'swiglu', 'C1', () => `gate and up must have one type, found ${typeText(gate)} and ${typeText(up)}`);
    return gate;
  },
  decompose: (b, { gate, up }) => b.op('mul', [b.op('silu', [gate]), up]),
  samples: [{ types: [F(2, 3), F(2, 3)] }],
  rejects: [{ constraint: 'C1', types: [F(2, 3), F(3, 2)] }],
});

function meanOf(b: FuncBuilder, x: Value): Value {
  const width = Number(x.type.shape.at(-1));
  return b.op('mul', [b.op('reduce_sum', [x], { axes: lastAxis(x) }), b.constant(1 / width)]);
}

function checkNorm(name: string, x: Type, weights: Readonly<Record<string, Type>>): Type {
  const last = x.shape.at(-1);
  constraint(typeof last === 'number', name, 'C2', () => `the last axis must be static, found ${typeText(x)}`);
  for (const [called, w] of Object.entries(weights))
    constraint(sameShape(w.shape, [last]), name, 'C1', () => `${called} must be f32[${last}] (last axis of x ${typeText(x)}), found ${typeText(w)}`);
  return x;
}

/** `rms_norm %x, %weight {eps}`: x·rsqrt(mean(x²)+eps)·weight on the last axis (Zhang & Sennrich 2019). (C1) weight is [last axis]. (C2) this is static. */
const rmsNorm = composite({
  name: 'rms_norm',
  operands: { x: 'f32', weight: 'f32' },
  attrs: { eps: 'number' },
  infer: ({ x, weight }) => checkNorm('rms_norm', x, { weight }),
  decompose: (b, { x, weight }, { eps }) => {
    const meanSquare = meanOf(b, b.op('mul', [x, x]));
    const rstd = b.op('rsqrt', [b.op('add', [meanSquare, b.constant(eps)])], {}, 'rstd');
    return b.op('mul', [b.op('mul', [x, rstd]), weight]);
  },
  samples: [{ types: [F(2, 3, 4), F(4)], attrs: { eps: 1e-5 } }],
  rejects: [
    { constraint: 'C1', types: [F(2, 4), F(3)], attrs: { eps: 1e-5 } },
    { constraint: 'C2', types: [{ dtype: 'f32', shape: [2, 'T'] }, F(3)], attrs: { eps: 1e-5 } },
  ],
});

/** `layer_norm %x, %weight, %bias {eps}` over the last axis (Ba et al. 2016). (C1) weight and bias are [last axis]. (C2) that axis is static. */
const layerNorm = composite({
  name: 'layer_norm',
  operands: { x: 'f32', weight: 'f32', bias: 'f32' },
  attrs: { eps: 'number' },
  infer: ({ x, weight, bias }) => checkNorm('layer_norm', x, { weight, bias }),
  decompose: (b, { x, weight, bias }, { eps }) => {
    const centred = b.op('sub', [x, meanOf(b, x)], {}, 'centred');
    const variance = meanOf(b, b.op('mul', [centred, centred]));
    const rstd = b.op('rsqrt', [b.op('add', [variance, b.constant(eps)])], {}, 'rstd');
    return b.op('add', [b.op('mul', [b.op('mul', [centred, rstd]), weight]), bias]);
  },
  samples: [{ types: [F(2, 3, 4), F(4), F(4)], attrs: { eps: 1e-5 } }],
  rejects: [{ constraint: 'C1', types: [F(2, 4), F(4), F(3)], attrs: { eps: 1e-5 } }],
});

/** Softmax over the last axis. The maximum is subtracted first; no gradient flows through it. */
const softmax = composite({
  name: 'softmax',
  operands: { x: 'f32' },
  decompose: (b, { x }) => {
    const top = b.op('stop_gradient', [b.op('reduce_max', [x], { axes: lastAxis(x) })]);
    const e = b.op('exp', [b.op('sub', [x, top])]);
    return b.op('div', [e, b.op('reduce_sum', [e], { axes: lastAxis(e) })]);
  },
  samples: [{ types: [F(2, 3, 4)] }],
});

/**
 * `random %seed {shape, site}`: f32 numbers, uniform in [0, 1) with 24 bits. Each is a pure function of (seed, site, index): the 32-bit finaliser
 * "lowbias32" (C. Wellons, hash-prospector) is chained over the axes, so that a smaller batch draws the same numbers. (C1) seed is a scalar.
 */
const random = composite({
  name: 'random',
  operands: { seed: 'u32' },
  attrs: { shape: 'shape', site: 'number' },
  infer: ({ seed }, { shape }) => {
    constraint(seed.shape.length === 0, 'random', 'C1', () => `seed must be u32[], found ${typeText(seed)}`);
    return { dtype: 'f32', shape };
  },
  decompose: (b, { seed }, { shape, site }) => {
    const u = (v: number): Value => b.constant(v, 'u32');
    const mix = (h: Value): Value => {
      const a = b.op('mul', [b.op('bit_xor', [h, b.op('shift_right', [h, u(16)])]), u(0x7feb352d)]);
      const c = b.op('mul', [b.op('bit_xor', [a, b.op('shift_right', [a, u(15)])]), u(0x846ca68b)]);
      return b.op('bit_xor', [c, b.op('shift_right', [c, u(16)])]);
    };
    let hash = mix(b.op('add', [seed, u((site * 0x9e3779b9) >>> 0)]));
    for (let axis = 0; axis < shape.length; axis++) {
      const index = b.op('convert', [b.op('iota', [], { shape: shapeToAttr(shape), axis })], { to: 'u32' });
      hash = mix(b.op('add', [hash, index]));
    }
    const bits = b.op('convert', [b.op('shift_right', [hash, u(8)])], { to: 'f32' });
    return b.op('mul', [bits, b.constant(2 ** -24)]);
  },
  vjp: () => ({}),
  samples: [{ types: [{ dtype: 'u32', shape: [] }], attrs: { shape: ['3', '4'], site: 1 }, values: { 0: [7] } }],
  rejects: [{ constraint: 'C1', types: [{ dtype: 'u32', shape: [1] }], attrs: { shape: ['3'], site: 0 } }],
});

/** `dropout %x, %seed {rate, site}`: zero with probability rate, else x/(1−rate). (C1) 0 ≤ rate < 1. */
const dropout = composite({
  name: 'dropout',
  operands: { x: 'f32', seed: 'u32' },
  attrs: { rate: 'number', site: 'number' },
  infer: ({ x }, { rate }) => {
    constraint(rate >= 0 && rate < 1, 'dropout', 'C1', () => `rate must be in [0, 1), found ${rate}`);
    return x;
  },
  decompose: (b, { x, seed }, { rate, site }) => {
    const draw = b.op('random', [seed], { shape: shapeToAttr(x.type.shape), site });
    return b.op('select', [b.op('ge', [draw, b.constant(rate)]), b.op('mul', [x, b.constant(1 / (1 - rate))]), b.constant(0)]);
  },
  samples: [{ types: [F(2, 3), { dtype: 'u32', shape: [] }], attrs: { rate: 0.25, site: 0 }, values: { 1: [3] } }],
  rejects: [{ constraint: 'C1', types: [F(2), { dtype: 'u32', shape: [] }], attrs: { rate: 1, site: 0 } }],
});

/**
 * `residual %x, %branch, %weight[, %scale]`: x + scale·branch, which ends a unit. The run-time scalar `weight` multiplies only the branch's
 * cotangent: it is 1/(1−p) for DropBP with inverse-probability weights, otherwise 1. `scale` multiplies the branch forward and backward
 * (stochastic depth), and is 1 if left out. (C1) x and branch have the same type. (C2) weight is f32[]. (C3) scale is f32[].
 */
const residual = composite({
  name: 'residual',
  operands: { x: 'f32', branch: 'f32', weight: 'f32', scale: { dtype: 'f32', optional: true } },
  adds: true,
  endsUnit: true,
  infer: ({ x, branch, weight, scale }) => {
    constraint(
      sameShape(x.shape, branch.shape),
      'residual',
      'C1',
      () => `the branch must have the type of its input ${typeText(x)}, found ${typeText(branch)}`,
    );
    constraint(weight.shape.length === 0, 'residual', 'C2', () => `the branch weight must be f32[], found ${typeText(weight)}`);
    constraint(!scale || scale.shape.length === 0, 'residual', 'C3', () => `the branch scale must be f32[], found ${scale ? typeText(scale) : 'none'}`);
    return x;
  },
  decompose: (b, { x, branch, scale }) => b.op('add', [x, scale ? b.op('mul', [branch, scale]) : branch]),
  vjp: ({ b, d, needs }, { weight, scale }) => {
    const scaled = needs.branch && scale ? b.op('mul', [d, scale]) : d;
    return { x: d, branch: needs.branch ? b.op('mul', [scaled, weight]) : null };
  },
  samples: [
    { types: [F(2, 3), F(2, 3), F()], values: { 2: [1] } },
    { types: [F(2, 3), F(2, 3), F(), F()], values: { 2: [1], 3: [2.5] } },
  ],
  rejects: [
    { constraint: 'C1', types: [F(2, 3), F(3, 2), F()] },
    { constraint: 'C2', types: [F(2, 3), F(2, 3), F(1)] },
    { constraint: 'C3', types: [F(2, 3), F(2, 3), F(), F(1)] },
  ],
});

export const compositeOps = [sigmoid, silu, relu, geluTanh, gelu, swiglu, rmsNorm, layerNorm, softmax, random, dropout, residual] as const;
