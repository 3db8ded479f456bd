/**
 * @file The functions that update parameters, written in the IR like any other: squared norms, the clip scale, the count of updates, AdamW, SGD.
 * The parameters of a group lie side by side as `N` rows of four; those under weight decay come first.
 */

import { invariant } from '../errors.ts';
import { funcBuilder } from '../ir/builder.ts';
import { type FuncBuilder, shapeToAttr } from '../ir/define.ts';
import type { Func, Type, Value } from '../ir/types.ts';
import { COLUMNS, CORRECTIONS, MOST_UPDATES } from '../runtime/corrections.ts';

const ROWS: Type = { dtype: 'f32', shape: ['N', 4] };
const SCALAR: Type = { dtype: 'f32', shape: [] };
/** A number that lies in a buffer. */
const ONE: Type = { dtype: 'f32', shape: [1, 1] };
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

/** The largest norm with which anything is updated. Beyond it squares overflow, and a NaN is not below it either. */
const MOST_NORM = 3e38;

/** Whether a clip scale says that the step updates: a gradient whose norm is no number is not taken, so that it spoils neither weights nor moments. */
const takes = (b: FuncBuilder, scale: Value): Value => b.op('ge', [scale, b.constant(0)], {}, 'takes');

/**
 * The parts of all groups → ‖g‖ and min(1, maxNorm/(‖g‖+1e-6)), as in torch.nn.utils.clip_grad_norm_; maxNorm ≤ 0 clips nothing. The scale is
 * −1 where the norm is no number: then nothing is updated.
 */
export function clip(): Func {
  const b = funcBuilder();
  const { add, div } = arithmetic(b);
  const parts = b.param('parts', { dtype: 'f32', shape: ['G', NORM_PARTS] }, 'value');
  const maxNorm = b.param('max_norm', SCALAR, 'scalar');
  const norm = b.op('sqrt', [b.op('reduce_sum', [parts], { axes: [0, 1] })], {}, 'norm');
  const bounded = b.op('min', [b.constant(1), div(maxNorm, add(norm, b.constant(1e-6)))]);
  const clipped = b.op('select', [b.op('ge', [b.constant(0), maxNorm]), b.constant(1), bounded]);
  const scale = b.op('select', [b.op('le', [norm, b.constant(MOST_NORM)]), clipped, b.constant(-1)], {}, 'scale');
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

/** What an optimizer computes with. */
interface UpdateInputs {
  /** The clipped gradient. */
  readonly g: Value;
  readonly p: Value;
  /** The decay of each row: 0 behind `decay_rows`. */
  readonly decay: Value;
  readonly scalar: (name: string) => Value;
  readonly state: (name: string) => Value;
  /** Numbers of the group that lie on the device. */
  readonly own: OwnNumbers;
}

/** Numbers of a group by name; `scale` is one of them. */
type OwnNumbers = (name: string) => Value;

interface NewState {
  readonly state: string;
  readonly before: Value;
  readonly value: Value;
}

/** Declares a parameter of the function that is being built. */
type Declare = FuncBuilder['param'];

/**
 * Makes the function that updates a group of parameters. `build` receives the clipped gradient g, and the decay of each row, which is 0 from
 * row `decay_rows` on. @param own declares the parameters that hold the group's numbers
 */
function updateFunction(
  name: string,
  own: (b: FuncBuilder, declare: Declare) => OwnNumbers,
  build: (b: FuncBuilder, inputs: UpdateInputs) => readonly NewState[],
): Func {
  const b = funcBuilder();
  const names: string[] = [];
  const declare: Declare = (param, type, role) => {
    names.push(param);
    return b.param(param, type, role);
  };
  const p = declare('p', ROWS, 'state');
  const raw = declare('g', ROWS, 'value');
  const numbers = own(b, declare);
  const scalar = (param: string): Value => declare(param, SCALAR, 'scalar');
  const rows = b.op('convert', [b.op('iota', [], { shape: ['N', '1'], axis: 0 })], { to: 'f32' });
  const decay = b.op('select', [b.op('lt', [rows, scalar('decay_rows')]), scalar('weight_decay'), b.constant(0)], {}, 'decay');
  const scale = numbers('scale');
  const g = b.op('mul', [raw, scale], {}, 'clipped');
  const updates = build(b, { g, p, decay, scalar, state: (param) => declare(param, ROWS, 'state'), own: numbers });
  const taken = takes(b, scale);
  return b.finish(
    name,
    updates.map(({ state, before, value }) => ({ value: b.op('select', [taken, value, before]), role: 'update', of: names.indexOf(state) })),
  );
}

/** A number for each group, in every column of its row: a row is bound by itself, so that it starts where a binding may. */
const GROUPS: Type = { dtype: 'f32', shape: ['G', COLUMNS] };

/** counts ← counts + updated, but no more than f32 counts to. `updated` is 1 for groups that are updated, else 0; `scale` is of `clip`. */
function countUpdates(b: FuncBuilder): { readonly counted: Value; readonly scale: Value } {
  const counts = b.param('counts', GROUPS, 'state');
  const updated = b.param('updated', { dtype: 'f32', shape: ['G', 1] }, 'value');
  const scale = b.param('scale', ONE, 'value');
  const taken = b.op('select', [takes(b, scale), updated, b.constant(0)]);
  return { scale, counted: b.op('min', [b.op('add', [counts, taken]), b.constant(MOST_UPDATES)], {}, 'counted') };
}

/** Counts the updates of groups that SGD updates. */
export function sgdCount(): Func {
  const b = funcBuilder();
  return b.finish('sgd_count', [{ value: countUpdates(b).counted, role: 'update', of: 0 }]);
}

/** What AdamW reads of its group, each in a column of `rates`: in one buffer, since a kernel binds eight. */
const RATES: readonly string[] = ['scale', 'bias1', 'bias2_sqrt'];

function ratesOf(b: FuncBuilder, declare: Declare): OwnNumbers {
  const rates = declare('rates', { dtype: 'f32', shape: [1, COLUMNS] }, 'value');
  return (name) => b.op('slice', [rates], { axis: 1, start: RATES.indexOf(name), size: 1 });
}

/** What SGD reads of its group, each in a buffer of its own. */
function countOf(_b: FuncBuilder, declare: Declare): OwnNumbers {
  const numbers = new Map(['scale', 'counts'].map((name): [string, Value] => [name, declare(name, ONE, 'value')]));
  return (name) => {
    const found = numbers.get(name);
    invariant(found, `SGD has no number ${name}`);
    return found;
  };
}

/**
 * Counts the updates of groups that AdamW updates, and makes their `rates`: the clip scale, and what the moments are divided by after t
 * updates, bias1 = 1 − β₁ᵗ and bias2_sqrt = √(1 − β₂ᵗ). `table` holds 1 − βᵗ for t = 0, 1, … below a period and for whole periods
 * (runtime/corrections.ts). For t = h + l the two are put together without a cancellation: 1 − βʰ⁺ˡ = (1 − βʰ) + (1 − (1 − βʰ))·(1 − βˡ).
 * Below a period the first is 0, and the table's numbers come out bit for bit.
 */
export function adamwCount(): Func {
  const b = funcBuilder();
  const { add, sub, mul } = arithmetic(b);
  const { counted, scale } = countUpdates(b);
  const table = b.param('table', { dtype: 'f32', shape: [CORRECTIONS.length] }, 'value');
  const { period } = CORRECTIONS;
  const periods = b.op('floor', [mul(counted, b.constant(1 / period))], {}, 'periods');
  const rest = sub(counted, mul(periods, b.constant(period)));
  const entry = (index: Value, first: number): Value => {
    const ids = b.op('convert', [add(index, b.constant(first))], { to: 'i32' });
    return b.op('gather', [table, ids]);
  };
  const together = (periodic: number, single: number): Value => {
    const whole = entry(periods, periodic);
    return add(whole, mul(sub(b.constant(1), whole), entry(rest, single)));
  };
  const bias1 = together(CORRECTIONS.periodic1, CORRECTIONS.single1);
  const later = b.op('sqrt', [together(CORRECTIONS.periodic2, CORRECTIONS.single2)]);
  const bias2 = b.op('select', [b.op('lt', [counted, b.constant(period)]), entry(rest, CORRECTIONS.singleSqrt2), later]);
  const column = b.op('convert', [b.op('iota', [], { shape: ['1', `${COLUMNS}`], axis: 1 })], { to: 'f32' });
  const isBefore = (end: number): Value => b.op('lt', [column, b.constant(end)]);
  const rates = b.op('select', [isBefore(1), scale, b.op('select', [isBefore(2), bias1, bias2])], {}, 'rates');
  return b.finish('adamw_count', [
    { value: counted, role: 'update', of: 0 },
    { value: rates, role: 'value' },
  ]);
}

/**
 * AdamW as torch.optim.AdamW: p ← p·(1−lr·wd); m, v ← moments; p ← p − lr·(m/bias1)/(√v/bias2_sqrt + eps).
 * Scalars: lr, beta1, beta2, eps, weight_decay, decay_rows; `rates` are of `adamwCount`.
 */
export function adamw(): Func {
  return updateFunction('adamw', ratesOf, (b, { g, p, decay, scalar, state, own }) => {
    const { add, sub, mul, div } = arithmetic(b);
    const [m, v] = [state('m'), state('v')];
    const [lr, beta1, beta2, eps] = [scalar('lr'), scalar('beta1'), scalar('beta2'), scalar('eps')];
    const one = b.constant(1);
    const newM = add(mul(m, beta1), mul(g, sub(one, beta1)));
    const newV = add(mul(v, beta2), mul(mul(g, g), sub(one, beta2)));
    const decayed = mul(p, sub(one, mul(lr, decay)));
    const step = div(mul(div(lr, own('bias1')), newM), add(div(b.op('sqrt', [newV]), own('bias2_sqrt')), eps));
    return [
      { state: 'p', before: p, value: sub(decayed, step) },
      { state: 'm', before: m, value: newM },
      { state: 'v', before: v, value: newV },
    ];
  });
}

/**
 * SGD with momentum as torch.optim.SGD: g ← g + wd·p; m ← momentum·m + (1−dampening)·g, or g at the first update; p ← p − lr·m (nesterov:
 * g + momentum·m). Scalars: lr, momentum, fresh = 1 − dampening, nesterov, weight_decay, decay_rows; counts are of `sgdCount`.
 */
export function sgd(): Func {
  return updateFunction('sgd', countOf, (b, { g, p, decay, scalar, state, own }) => {
    const { add, sub, mul } = arithmetic(b);
    const m = state('m');
    const [lr, nesterov] = [scalar('lr'), scalar('nesterov')];
    const first = b.op('lt', [own('counts'), b.constant(1.5)], {}, 'first');
    const momentum = b.op('select', [first, b.constant(0), scalar('momentum')]);
    const fresh = b.op('select', [first, b.constant(1), scalar('fresh')]);
    const decayed = add(g, mul(p, decay));
    const newM = add(mul(m, momentum), mul(decayed, fresh));
    const plain = b.op('select', [b.op('ge', [nesterov, b.constant(0.5)]), add(decayed, mul(newM, momentum)), newM]);
    return [
      { state: 'p', before: p, value: sub(p, mul(lr, plain)) },
      { state: 'm', before: m, value: newM },
    ];
  });
}
