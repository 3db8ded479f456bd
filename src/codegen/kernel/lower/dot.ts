/** @file Dots: operands come through load ports with their prologues, results leave through a store port with the epilogue. */

import { at } from '../../../errors.ts';
import { dotShape } from '../../../ir/ops/dot.ts';
import { kindOf, opDef } from '../../../ir/ops/index.ts';
import { productKey } from '../../../ir/ops/structural.ts';
import { dimSize, type Op, type Shape, type Value } from '../../../ir/types.ts';
import type { KernelBuilder } from '../builder.ts';
import { add, mul } from '../expr.ts';
import type { Expr, Kernel } from '../ir.ts';
import { fitsMatmul } from '../matmul/limits.ts';
import { matmul, matmulBuilder } from '../matmul/matmul.ts';
import { addingBuilder, addPartials, partialMatmul } from '../matmul/partial.ts';
import { PLAIN } from '../matmul/register/schedule.ts';
import { isMatmulSchedule, type MatmulSchedule } from '../matmul/schedule.ts';
import type { MatmulPort, MatmulProduct, MatmulSpec, MatmulStore } from '../matmul/spec.ts';
import type { MatmulLayout, MatmulLoad, MatmulWork } from '../matmul/work.ts';
import { withoutIdleBuffers } from '../rewrite/tidy.ts';
import { lowerChosen } from './choice.ts';
import { dimOf, emitter } from './emit.ts';
import { bindGroup, type Group, type GroupBuffers } from './group.ts';
import type { BoundKernel, Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';
import { flatIndex, productExpr } from './position.ts';
import { problemKey } from './problem.ts';
import { vectorisable } from './width.ts';

const divides = (shape: Shape): boolean => typeof shape.at(-1) === 'number' && Number(shape.at(-1)) % 4 === 0;

/** How many ops a group does at each element of its results: all but its dots and what those read. */
function epilogueOps({ ops, producer }: Group, dots: readonly Dot[]): number {
  const prologue = new Set<Op>();
  const visit = (v: Value): void => {
    const op = producer.get(v);
    if (!op || prologue.has(op)) return;
    prologue.add(op);
    op.operands.forEach(visit);
  };
  for (const { op } of dots) op.operands.forEach(visit);
  return ops.filter((op) => !prologue.has(op) && kindOf(op) === 'pointwise').length;
}

export function lowerDot(group: Group, options: LowerOptions): Lowered {
  const set = dotSetOf(group);
  const [{ shape, layout }] = set.dots;
  const size = (dims: Shape): number => dims.reduce<number>((p, d) => p * dimSize(d, options.sizes), 1);
  const depth = set.sum ? set.dots.reduce((k, dot) => k + size(dot.shape.k), 0) : size(shape.k);
  const sizes = { m: size(shape.m), n: size(shape.n), k: depth, batch: size(shape.batch) };
  const load: MatmulLoad = {
    products: set.dots.length,
    operands: operandCounts(set),
    perElement: epilogueOps(group, set.dots),
    everyStep: options.everyStep ?? false,
  };
  const work: MatmulWork = { sizes, layout, load, precision: options.matmulPrecision ?? 'f32' };
  const { matmul: schedules } = options.schedules;
  return lowerChosen<MatmulSchedule>(
    {
      kind: 'matmul',
      name: `${group.name} ${sizes.m}×${sizes.n}×${sizes.k}`,
      key: `${problemKey(group, options.sizes)}${work.precision === 'f32' ? '' : ` | ${work.precision}`}`,
      standard: schedules.standard(options.device, work),
      plain: PLAIN,
      candidates: schedules.candidates(options.device, work),
      fits: (schedule): schedule is MatmulSchedule => isMatmulSchedule(schedule) && fitsMatmul(schedule, options.device, work),
      lower: (schedule) => cutDots(group, set, options, schedule),
    },
    options,
  );
}

/** A dot of a group: operands, result, and along which axes they are read four at a time. */
interface Dot {
  readonly op: Op;
  readonly lhs: Value;
  readonly rhs: Value;
  readonly result: Value;
  readonly shape: ReturnType<typeof dotShape>;
  readonly layout: MatmulLayout;
}

/** The dots of a group. They stand side by side, or are all terms of `sum`. */
interface DotSet {
  readonly dots: readonly [Dot, ...Dot[]];
  readonly sum: Value | null;
}

function dotOf(op: Op, group: Group): Dot {
  const [lhs, rhs] = op.operands;
  const [result] = op.results;
  if (!lhs || !rhs || !result) throw new Error('a dot has two operands and a result');
  const shape = dotShape(op);
  const axis = (value: Value, kLast: boolean, mn: Shape): MatmulPort['vectorAxis'] =>
    vectorisable(value, group.producer) && divides(kLast ? shape.k : mn) ? (kLast ? 'k' : 'mn') : null;
  return { op, lhs, rhs, result, shape, layout: { a: axis(lhs, !shape.ta, shape.m), b: axis(rhs, shape.tb, shape.n) } };
}

function dotSetOf(group: Group): DotSet {
  const [first, ...more] = group.ops.filter((o) => kindOf(o) === 'dot').map((op) => dotOf(op, group));
  if (!first) throw new Error('dot group has no dot');
  const dots = [first, ...more] as const;
  const joint = more.every((dot) => productKey(dot.shape.k) === productKey(first.shape.k) && dots.some((d) => d !== dot && sharesOperand(d, dot)));
  return { dots, sum: joint ? null : sumOf(dots, group) };
}

/** How many different operands one walk along k reads on each side. */
function operandCounts({ dots, sum }: DotSet): MatmulLoad['operands'] {
  if (sum) return { a: 1, b: 1 };
  const different = (of: (dot: Dot) => string): number => new Set(dots.map(of)).size;
  const all = [...new Set(dots.flatMap(({ lhs, rhs }) => [lhs, rhs]))];
  return { a: different(({ lhs, shape }) => `${all.indexOf(lhs)}${shape.ta}`), b: different(({ rhs, shape }) => `${all.indexOf(rhs)}${shape.tb}`) };
}

const sharesOperand = (a: Dot, b: Dot): boolean => (a.lhs === b.lhs && a.shape.ta === b.shape.ta) || (a.rhs === b.rhs && a.shape.tb === b.shape.tb);

/** The value that adds up all dots. */
function sumOf(dots: readonly Dot[], { ops }: Group): Value {
  const terms = new Map<Value, number>(dots.map((dot) => [dot.result, 1]));
  for (const op of ops) {
    const [x, y] = op.operands;
    const [result] = op.results;
    if (!opDef(op.name).adds || !x || !y || !result || !terms.has(x) || !terms.has(y)) continue;
    const count = (terms.get(x) ?? 0) + (terms.get(y) ?? 0);
    if (count === dots.length) return result;
    terms.set(result, count);
  }
  throw new Error('dots of a group neither share an operand nor add up');
}

function cutDots(group: Group, set: DotSet, options: LowerOptions, schedule: MatmulSchedule): Lowered {
  const { kGroups } = schedule;
  const scratch = partialSumsOf(set, kGroups);
  const build = (b: KernelBuilder, end: (spec: MatmulSpec) => Kernel, more: readonly Value[] = []): BoundKernel => {
    const fourWide = storesFour(group, set);
    const buffers = bindGroup(b, group, options, (v) => (group.outputs.includes(v) ? fourWide : true));
    return { kernel: end(dotSpec(group, set, options, buffers)), values: [...buffers.values, ...more] };
  };
  if (kGroups === 1) {
    const b = matmulBuilder(group.name, schedule);
    return build(b, (spec) => matmul(b, spec, schedule));
  }
  const [first, second] = [matmulBuilder(`${group.name}_partial`, schedule), addingBuilder(group.name)];
  return {
    ...withoutIdleBuffers(build(second, (spec) => addPartials(second, spec, kGroups), [scratch])),
    before: withoutIdleBuffers(build(first, (spec) => partialMatmul(first, spec, schedule), [scratch])),
  };
}

/** The scratch between the kernels of a dot whose k workgroups share. */
function partialSumsOf({ dots, sum }: DotSet, kGroups: number): Value {
  const [{ shape: s }] = dots;
  return { name: 'partial_sums', type: { dtype: 'f32', shape: [kGroups, ...s.batch, sum ? 1 : dots.length, ...s.m, ...s.n] } };
}

/** Whether the results are stored four at a time. */
function storesFour({ outputs, producer }: Group, { dots }: DotSet): boolean {
  const [{ shape: s }] = dots;
  return divides(s.n) && outputs.every((v) => vectorisable(v, producer));
}

/** The spec of a group's dots on a kernel to which the group is bound. */
function dotSpec(group: Group, set: DotSet, options: LowerOptions, buffers: GroupBuffers): MatmulSpec {
  const { dots, sum } = set;
  const [{ shape: s }] = dots;
  const port = portsOf(group, buffers, s.batch);
  const products = dots.map(
    ({ lhs, rhs, shape, layout }, i): MatmulProduct => ({
      a: port({ side: 'a', value: lhs, k: shape.k, kLast: !shape.ta, mn: shape.m, vectorAxis: layout.a }),
      b: port({ side: 'b', value: rhs, k: shape.k, kLast: shape.tb, mn: shape.n, vectorAxis: layout.b }),
      into: sum ? 0 : i,
    }),
  );
  return {
    batch: { of: s.batch },
    m: { of: s.m },
    n: { of: s.n },
    results: sum ? 1 : dots.length,
    loops: sum ? products.map((p, i) => ({ k: { of: at(dots, i).shape.k }, products: [p] })) : [{ k: { of: s.k }, products }],
    store: storeOf(group, set, buffers),
    dim: dimOf(options.dims),
  };
}

/** Row-major position of (batch, outer, inner), of which `outer` and `inner` stand for axes of the shapes given. */
function position(
  { emit: { scope } }: GroupBuffers,
  batched: boolean,
  { batch, outer, inner }: { readonly batch: Expr; readonly outer: readonly [Expr, Shape]; readonly inner: readonly [Expr, Shape] },
): Expr {
  const rows = batched ? add(mul(batch, productExpr(outer[1], scope)), outer[0]) : outer[0];
  return add(mul(rows, productExpr(inner[1], scope)), inner[0]);
}

/** An operand of a dot as it is read. */
interface Read {
  readonly side: 'a' | 'b';
  readonly value: Value;
  readonly k: Shape;
  readonly mn: Shape;
  /** Whether k is the last axis in memory. */
  readonly kLast: boolean;
  readonly vectorAxis: MatmulPort['vectorAxis'];
}

/** What makes ports. Equal reads have one port, so that they are loaded once. */
function portsOf(group: Group, buffers: GroupBuffers, batch: Shape): (read: Read) => MatmulPort {
  const made = new Map<string, MatmulPort>();
  return (read) => {
    const key = `${read.side}:${group.reads.indexOf(read.value)}:${read.value.name}:${read.kLast}`;
    const port = made.get(key) ?? portOf(read, buffers, batch.length > 0);
    made.set(key, port);
    return port;
  };
}

function portOf({ value, k, mn, kLast, vectorAxis }: Read, buffers: GroupBuffers, batched: boolean): MatmulPort {
  return {
    vectorAxis,
    load: (at, width) => {
      const inner = emitter(buffers.context);
      const [outer, last] = kLast
        ? ([
            [at.mn, mn],
            [at.k, k],
          ] as const)
        : ([
            [at.k, k],
            [at.mn, mn],
          ] as const);
      return inner.emit(value, flatIndex(value.type.shape, position(buffers, batched, { batch: at.batch, outer, inner: last }), inner.scope), width);
    },
  };
}

function storeOf(group: Group, set: DotSet, buffers: GroupBuffers): MatmulStore {
  const { dots, sum } = set;
  const [{ shape: s }] = dots;
  const results = sum ? [sum] : dots.map((dot) => dot.result);
  return {
    vectorAxis: storesFour(group, set) ? 'n' : null,
    store: ({ batch, m, n }, values, width) => {
      const inner = emitter(buffers.context);
      results.forEach((result, i) => void inner.define(result, at(values, i)));
      const flat = inner.scope.bind('at', position(buffers, s.batch.length > 0, { batch, outer: [m, s.m], inner: [n, s.n] }));
      buffers.storeAll(group.outputs, flat, inner, width);
    },
  };
}
