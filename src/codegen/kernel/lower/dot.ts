/** @file Dots: operands come through load ports with their prologues, results leave through a store port with the epilogue. */

import { dotShape } from '../../../ir/ops/dot.ts';
import { kindOf, opDef } from '../../../ir/ops/index.ts';
import { productKey } from '../../../ir/ops/structural.ts';
import { dimSize, type Op, type Shape, type Value } from '../../../ir/types.ts';
import type { KernelBuilder } from '../builder.ts';
import { add, mul } from '../expr.ts';
import type { Expr, Kernel } from '../ir.ts';
import { matmulCandidates } from '../matmul/candidates.ts';
import { fitsMatmul, type MatmulLoad } from '../matmul/limits.ts';
import { matmul } from '../matmul/matmul.ts';
import { addPartials, partialMatmul } from '../matmul/partial.ts';
import { type MatmulSchedule, PLAIN } from '../matmul/schedule.ts';
import type { MatmulPort, MatmulSpec, Operand } from '../matmul/spec.ts';
import { type MatmulLayout, standardMatmulSchedule } from '../matmul/standard.ts';
import { withoutIdleBuffers } from '../rewrite/tidy.ts';
import { lowerChosen, type ScheduleProblem } from './choice.ts';
import { dimOf, emitter } from './emit.ts';
import { bindGroup, type Group, type GroupBuffers } from './group.ts';
import type { BoundKernel, Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';
import { flatIndex, productExpr } from './position.ts';
import { problemKey } from './problem.ts';
import { vectorisable } from './width.ts';

const divides = (shape: Shape): boolean => typeof shape.at(-1) === 'number' && Number(shape.at(-1)) % 4 === 0;

/** Ops of a group at each element of the results: all but its dots and what those read. */
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
  const plan = planOf(group);
  const [{ shape, layout }] = plan.dots;
  const size = (dims: Shape): number => dims.reduce<number>((p, d) => p * dimSize(d, options.sizes), 1);
  const depth = plan.sum ? plan.dots.reduce((k, dot) => k + size(dot.shape.k), 0) : size(shape.k);
  const sizes = { m: size(shape.m), n: size(shape.n), k: depth, batch: size(shape.batch) };
  const load: MatmulLoad = {
    products: plan.dots.length,
    operands: operandCounts(plan),
    perElement: epilogueOps(group, plan.dots),
    everyStep: options.everyStep ?? false,
  };
  const precision = options.matmulPrecision ?? 'f32';
  const problem: ScheduleProblem<MatmulSchedule> = {
    kind: 'matmul',
    name: `${group.name} ${sizes.m}×${sizes.n}×${sizes.k}`,
    key: `${problemKey(group, options.sizes)}${precision === 'f32' ? '' : ` | ${precision}`}`,
    standard: standardMatmulSchedule(options.device, layout, sizes, load, precision),
    plain: PLAIN,
    candidates: matmulCandidates(options.device, sizes, load, precision),
    fits: (schedule) => 'cols' in schedule && fitsMatmul(schedule, options.device, load, precision),
    lower: (schedule) => cutDots(group, plan, options, schedule),
  };
  return lowerChosen(problem, options);
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

/** The dots of a group: side by side, or all of them terms of `sum`. */
interface DotPlan {
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

function planOf(group: Group): DotPlan {
  const [first, ...more] = group.ops.filter((o) => kindOf(o) === 'dot').map((op) => dotOf(op, group));
  if (!first) throw new Error('dot group has no dot');
  const dots = [first, ...more] as const;
  const joint = more.every((dot) => productKey(dot.shape.k) === productKey(first.shape.k) && dots.some((d) => d !== dot && sharesOperand(d, dot)));
  return { dots, sum: joint ? null : sumOf(dots, group) };
}

/** Different operands of each side that one walk along k reads. */
function operandCounts({ dots, sum }: DotPlan): MatmulLoad['operands'] {
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

function cutDots(group: Group, plan: DotPlan, options: LowerOptions, schedule: MatmulSchedule): Lowered {
  const build = (make: (spec: MatmulSpec) => Kernel, more: readonly Value[] = []): BoundKernel => {
    const { spec, values } = dotSpec(group, plan, options);
    const kernel = make(spec);
    return { kernel, values: [...values(), ...more] };
  };
  const { kGroups } = schedule;
  if (kGroups === 1) return build((spec) => matmul(spec, schedule));
  const { spec } = dotSpec(group, plan, options);
  const [{ shape: s }] = plan.dots;
  const scratch: Value = { name: 'partial_sums', type: { dtype: 'f32', shape: [kGroups, ...s.batch, spec.results, ...s.m, ...s.n] } };
  return {
    ...withoutIdleBuffers(build((whole) => addPartials(whole, kGroups), [scratch])),
    before: withoutIdleBuffers(build((whole) => partialMatmul(whole, schedule), [scratch])),
  };
}

/** The spec of a group's dots for one kernel, and the values that its ports and store have bound once it is built. */
function dotSpec(group: Group, { dots, sum }: DotPlan, options: LowerOptions): { readonly spec: MatmulSpec; readonly values: () => readonly Value[] } {
  const [{ shape: s }] = dots;
  const fourWide = divides(s.n) && group.outputs.every((v) => vectorisable(v, group.producer));
  let buffers: GroupBuffers | null = null;
  const bound = (b: KernelBuilder): GroupBuffers => {
    buffers ??= bindGroup(b, group, options, (v) => (group.outputs.includes(v) ? fourWide : true));
    return buffers;
  };
  /** Row-major position of (batch, outer, inner). */
  const position = (g: GroupBuffers, batch: Expr, outer: Expr, outerShape: Shape, inner: Expr, innerShape: Shape): Expr => {
    const rows = s.batch.length > 0 ? add(mul(batch, productExpr(outerShape, g.emit.scope)), outer) : outer;
    return add(mul(rows, productExpr(innerShape, g.emit.scope)), inner);
  };
  const ports = new Map<string, Operand>();
  const port = (side: 'a' | 'b', value: Value, k: Shape, kLast: boolean, mn: Shape, vectorAxis: MatmulPort['vectorAxis']): Operand => {
    // one operand for equal reads: it is loaded once
    const key = `${side}:${group.reads.indexOf(value)}:${value.name}:${kLast}`;
    const known = ports.get(key);
    if (known) return known;
    const made: Operand = (b) => {
      const g = bound(b);
      return {
        vectorAxis,
        load: (_b, at, width) => {
          const inner = emitter(g.context);
          const flat = kLast ? position(g, at.batch, at.mn, mn, at.k, k) : position(g, at.batch, at.k, k, at.mn, mn);
          return inner.emit(value, flatIndex(value.type.shape, flat, inner.scope), width);
        },
      };
    };
    ports.set(key, made);
    return made;
  };
  const products = dots.map(({ lhs, rhs, shape, layout }, i) => ({
    a: port('a', lhs, shape.k, !shape.ta, shape.m, layout.a),
    b: port('b', rhs, shape.k, shape.tb, shape.n, layout.b),
    into: sum ? 0 : i,
  }));
  const results = sum ? [sum] : dots.map((dot) => dot.result);
  const spec: MatmulSpec = {
    name: group.name,
    batch: { of: s.batch },
    m: { of: s.m },
    n: { of: s.n },
    results: results.length,
    loops: sum ? products.map((p, i) => ({ k: { of: dots[i]?.shape.k ?? [] }, products: [p] })) : [{ k: { of: s.k }, products }],
    store: (b) => {
      const g = bound(b);
      return {
        vectorAxis: fourWide ? 'n' : null,
        store: (_b, at, values, width) => {
          const inner = emitter(g.context);
          results.forEach((result, i) => {
            const value = values[i];
            if (value) inner.define(result, value);
          });
          const flat = inner.scope.bind('at', position(g, at.batch, at.m, s.m, at.n, s.n));
          g.storeAll(group.outputs, flat, inner, width);
        },
      };
    },
    dim: (symbol) => dimOf(options.dims)(symbol),
  };
  return { spec, values: () => (buffers as GroupBuffers | null)?.values ?? [] };
}
