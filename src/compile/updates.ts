/** @file The functions that update parameters, written in the IR like any other: squared norms, the clip scale, AdamW, SGD.
 * The parameters of a group lie side by side as `N` rows of four; those under weight decay come first. */

import { funcBuilder } from '../ir/builder.ts';
import type { FuncBuilder } from '../ir/define.ts';
import { shapeToAttr } from '../ir/define.ts';
import type { Func, Type, Value } from '../ir/types.ts';

const ROWS: Type = { dtype: 'f32', shape: ['N', 4] };
const SCALAR: Type = { dtype: 'f32', shape: [] };
/** Number of partial sums of a group's squared norm. */
export const NORM_PARTS = 64;

type Binary = (x: Value, y: Value) => Value;
interface Arithmetic {
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly div: Binary;
}
function arithmetic(b: FuncBuilder): Arithmetic {
  const binary =
    (name: string): Binary =>
    (x, y) =>
      b.op(name, [x, y]);
  return { add: binary('add'), sub: binary('sub'), mul: binary('mul'), div: binary('div') };
}

/** g [N, Q] → Σ g² of each row, [N, 1]. Rows are equal parts of neighbouring gradients, at most 64 for each group, or each lie within one parameter. */
export function sqnorm(): Func {
  const b = funcBuilder();
  const g = b.param('g', { dtype: 'f32', shape: ['N', 'Q'] }, 'value');
  const parts = b.op('reduce_sum', [b.op('mul', [g, g])], { axes: [1] }, 'parts');
  return b.finish('sqnorm', [{ value: parts, role: 'value' }]);
}

/** The parts of all groups → ‖g‖ and min(1, maxNorm/(‖g‖+1e-6)), as in torch.nn.utils.clip_grad_norm_; maxNorm ≤ 0 clips nothing. */
export function clip(): Func {
  const b = funcBuilder();
  const { add, div } = arithmetic(b);
  const parts = b.param('parts', { dtype: 'f32', shape: ['G', NORM_PARTS] }, 'value');
  const maxNorm = b.param('max_norm', SCALAR, 'scalar');
  const norm = b.op('sqrt', [b.op('reduce_sum', [parts], { axes: [0, 1] })], {}, 'norm');
  const bounded = b.op('min', [b.constant(1), div(maxNorm, add(norm, b.constant(1e-6)))]);
  const scale = b.op('select', [b.op('ge', [b.constant(0), maxNorm]), b.constant(1), bounded], {}, 'scale');
  return b.finish('clip', [
    { value: norm, role: 'value' },
    { value: scale, role: 'value' },
  ]);
}

/** y ← y + x, which adds up the cotangents of a value that several calls read. */
export function accumulate(): Func {
  const b = funcBuilder();
  const y = b.param('y', ROWS, 'state');
  const x = b.param('x', ROWS, 'value');
  return b.finish('accumulate', [{ value: b.op('add', [y, x], {}, 'sum'), role: 'update', of: 0 }]);
}

/** y ← x. */
export function assign(): Func {
  const b = funcBuilder();
  b.param('y', ROWS, 'state');
  const x = b.param('x', ROWS, 'value');
  return b.finish('assign', [{ value: b.op('copy', [x]), role: 'update', of: 0 }]);
}

/** y ← y − x. */
export function subtract(): Func {
  const b = funcBuilder();
  const y = b.param('y', ROWS, 'state');
  const x = b.param('x', ROWS, 'value');
  return b.finish('subtract', [{ value: b.op('sub', [y, x], {}, 'difference'), role: 'update', of: 0 }]);
}

/** y ← 0, for the cotangent of a value to which no call of a pattern passes one. */
export function zero(): Func {
  const b = funcBuilder();
  const zeros = b.op('broadcast', [b.constant(0)], { shape: shapeToAttr(ROWS.shape) }, 'zeros');
  return b.finish('zero', [{ value: zeros, role: 'value' }]);
}

interface UpdateInputs {
  readonly g: Value;
  readonly p: Value;
  readonly decay: Value;
  readonly scalar: (name: string) => Value;
  readonly state: (name: string) => Value;
}

/** Makes an update function. `build` receives the clipped gradient g, and the decay of each row, which is 0 from row `decay_rows` on. */
function updateFunction(name: string, build: (b: FuncBuilder, inputs: UpdateInputs) => readonly { state: string; value: Value }[]): Func {
  const b = funcBuilder();
  const p = b.param('p', ROWS, 'state');
  const raw = b.param('g', ROWS, 'value');
  const scale = b.param('scale', { dtype: 'f32', shape: [1, 1] }, 'value');
  const states = new Map<string, { value: Value; index: number }>([['p', { value: p, index: 0 }]]);
  let count = 3;
  const param = (n: string, type: Type, role: 'scalar' | 'state'): Value => {
    const value = b.param(n, type, role);
    if (role === 'state') states.set(n, { value, index: count });
    count++;
    return value;
  };
  const scalar = (n: string): Value => param(n, SCALAR, 'scalar');
  const rows = b.op('convert', [b.op('iota', [], { shape: ['N', '1'], axis: 0 })], { to: 'f32' });
  const decay = b.op('select', [b.op('lt', [rows, scalar('decay_rows')]), scalar('weight_decay'), b.constant(0)], {}, 'decay');
  const g = b.op('mul', [raw, scale], {}, 'clipped');
  const updates = build(b, { g, p, decay, scalar, state: (n) => param(n, ROWS, 'state') });
  return b.finish(
    name,
    updates.map(({ state, value }) => ({ value, role: 'update', of: states.get(state)?.index ?? 0 })),
  );
}

/**
 * AdamW as in torch.optim.AdamW: p ← p·(1−lr·wd); m, v ← moments; p ← p − lr·(m/bias1)/(√v/√bias2 + eps).
 * Scalars: lr, beta1, beta2, eps, bias1 = 1−β₁ᵗ, bias2_sqrt = √(1−β₂ᵗ), weight_decay, decay_rows.
 */
export function adamw(): Func {
  return updateFunction('adamw', (b, { g, p, decay, scalar, state }) => {
    const { add, sub, mul, div } = arithmetic(b);
    const [m, v] = [state('m'), state('v')];
    const [lr, beta1, beta2, eps, bias1, bias2] = ['lr', 'beta1', 'beta2', 'eps', 'bias1', 'bias2_sqrt'].map(scalar) as [
      Value,
      Value,
      Value,
      Value,
      Value,
      Value,
    ];
    const one = b.constant(1);
    const newM = add(mul(m, beta1), mul(g, sub(one, beta1)));
    const newV = add(mul(v, beta2), mul(mul(g, g), sub(one, beta2)));
    const decayed = mul(p, sub(one, mul(lr, decay)));
    const step = div(mul(div(lr, bias1), newM), add(div(b.op('sqrt', [newV]), bias2), eps));
    return [
      { state: 'p', value: sub(decayed, step) },
      { state: 'm', value: newM },
      { state: 'v', value: newV },
    ];
  });
}

/** SGD with momentum as in torch.optim.SGD: g ← g + wd·p; m ← momentum·m + (1−dampening)·g, or g at the first step; p ← p − lr·m (nesterov: g + momentum·m). */
export function sgd(): Func {
  return updateFunction('sgd', (b, { g, p, decay, scalar, state }) => {
    const { add, sub, mul } = arithmetic(b);
    const m = state('m');
    const [lr, momentum, fresh, nesterov] = ['lr', 'momentum', 'fresh', 'nesterov'].map(scalar) as [Value, Value, Value, Value];
    const decayed = add(g, mul(p, decay));
    const newM = add(mul(m, momentum), mul(decayed, fresh));
    const plain = b.op('select', [b.op('ge', [nesterov, b.constant(0.5)]), add(decayed, mul(newM, momentum)), newM]);
    return [
      { state: 'p', value: sub(p, mul(lr, plain)) },
      { state: 'm', value: newM },
    ];
  });
}
