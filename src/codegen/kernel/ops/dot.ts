/** @file Dots: operands come through load ports with their prologues, results leave through a store port with the epilogue. */

import { dotShape } from '../../../ir/ops/dot.ts';
import { opDef } from '../../../ir/ops/index.ts';
import { dimSize, type Op, type Shape, type Value } from '../../../ir/types.ts';
import { matmulCandidates } from '../candidates.ts';
import { lowerChosen, problemKey, type ScheduleProblem } from '../choice.ts';
import { dimOf, emitter, vectorisable } from '../emit.ts';
import { add, mul } from '../expr.ts';
import { bindGroup, type Group, type GroupBuffers, type Lowered, type LowerOptions } from '../group.ts';
import { flatIndex, productExpr } from '../index.ts';
import type { Expr } from '../ir.ts';
import { matmul } from '../matmul.ts';
import type { MatmulPort, MatmulSchedule } from '../matmulTypes.ts';
import { defaultMatmulSchedule, lightened, type MatmulLayout } from '../schedule.ts';

const divides = (shape: Shape): boolean => typeof shape.at(-1) === 'number' && Number(shape.at(-1)) % 4 === 0;

/** Ops of a group at each element of the result: all but those that its dot reads. */
function epilogueOps({ ops, producer }: Group, dot: Op): number {
  const prologue = new Set<Op>();
  const visit = (v: Value): void => {
    const op = producer.get(v);
    if (!op || prologue.has(op)) return;
    prologue.add(op);
    op.operands.forEach(visit);
  };
  dot.operands.forEach(visit);
  return ops.filter((op) => op !== dot && !prologue.has(op) && opDef(op.name).kind === 'pointwise').length;
}

export function lowerDot(group: Group, options: LowerOptions): Lowered {
  const dot = dotOf(group);
  const size = (shape: Shape): number => shape.reduce<number>((p, d) => p * dimSize(d, options.sizes), 1);
  const sizes = { m: size(dot.shape.m), n: size(dot.shape.n), k: size(dot.shape.k) };
  const perElement = epilogueOps(group, dot.op);
  const problem: ScheduleProblem<MatmulSchedule> = {
    kind: 'matmul',
    name: `${group.name} ${sizes.m}×${sizes.n}×${sizes.k}`,
    key: problemKey(group, options.sizes),
    standard: lightened(defaultMatmulSchedule(options.device, dot.layout, sizes), perElement),
    candidates: matmulCandidates(options.device, sizes, perElement),
    lower: (schedule) => cutDot(group, dot, options, schedule),
  };
  return lowerChosen(problem, options);
}

/** The dot of a group: operands, result, and along which axes they are read four at a time. */
interface Dot {
  readonly op: Op;
  readonly lhs: Value;
  readonly rhs: Value;
  readonly result: Value;
  readonly shape: ReturnType<typeof dotShape>;
  readonly layout: MatmulLayout;
}

function dotOf(group: Group): Dot {
  const op = group.ops.find((o) => o.name === 'dot');
  const [lhs, rhs] = op?.operands ?? [];
  const [result] = op?.results ?? [];
  if (!op || !lhs || !rhs || !result) throw new Error('dot group has no dot');
  const shape = dotShape([lhs.type, rhs.type], op.attrs);
  const axis = (value: Value, kLast: boolean, mn: Shape): MatmulPort['vectorAxis'] =>
    vectorisable(value, group.producer) && divides(kLast ? shape.k : mn) ? (kLast ? 'k' : 'mn') : null;
  return { op, lhs, rhs, result, shape, layout: { a: axis(lhs, !shape.ta, shape.m), b: axis(rhs, shape.tb, shape.n) } };
}

function cutDot(group: Group, { lhs, rhs, result, shape: s, layout }: Dot, options: LowerOptions, schedule: MatmulSchedule): Lowered {
  const vectorN = divides(s.n) && group.outputs.every((v) => vectorisable(v, group.producer));
  let buffers: GroupBuffers | null = null;
  const bound = (b: Parameters<typeof bindGroup>[0]): GroupBuffers => {
    buffers ??= bindGroup(b, group, options, (v) => (group.outputs.includes(v) ? vectorN : true));
    return buffers;
  };
  /** Row-major position of (batch, outer, inner). */
  const position = (g: GroupBuffers, batch: Expr, outer: Expr, outerShape: Shape, inner: Expr, innerShape: Shape): Expr => {
    const rows = s.batch.length > 0 ? add(mul(batch, productExpr(outerShape, g.emit.scope)), outer) : outer;
    return add(mul(rows, productExpr(innerShape, g.emit.scope)), inner);
  };
  const port =
    (value: Value, kLast: boolean, mn: Shape, vectorAxis: MatmulPort['vectorAxis']) =>
    (b: Parameters<typeof bindGroup>[0]): MatmulPort => {
      const g = bound(b);
      return {
        vectorAxis,
        load: (_b, at, width) => {
          const inner = emitter(g.context);
          const flat = kLast ? position(g, at.batch, at.mn, mn, at.k, s.k) : position(g, at.batch, at.k, s.k, at.mn, mn);
          return inner.emit(value, flatIndex(value.type.shape, flat, inner.scope), width);
        },
      };
    };
  const kernel = matmul(
    {
      name: group.name,
      batch: { of: s.batch },
      m: { of: s.m },
      n: { of: s.n },
      results: 1,
      loops: [{ k: { of: s.k }, products: [{ a: port(lhs, !s.ta, s.m, layout.a), b: port(rhs, s.tb, s.n, layout.b), into: 0 }] }],
      store: (b) => {
        const g = bound(b);
        return {
          vectorN,
          store: (_b, at, [value], width) => {
            const inner = emitter(g.context);
            if (value) inner.define(result, value);
            const flat = inner.scope.bind('at', position(g, at.batch, at.m, s.m, at.n, s.n));
            g.storeAll(group.outputs, flat, inner, width);
          },
        };
      },
      dim: (symbol) => dimOf(options.dims)(symbol),
    },
    schedule,
  );
  const done = buffers as GroupBuffers | null;
  return { kernel, values: done?.values ?? [] };
}
