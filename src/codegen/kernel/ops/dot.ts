/** @file Dots: operands come through load ports with their prologues, results leave through a store port with the epilogue. */

import { dotShape } from '../../../ir/ops/dot.ts';
import { opDef } from '../../../ir/ops/index.ts';
import { dimSize, type Op, type Shape, type Value } from '../../../ir/types.ts';
import { dimOf, emitter, vectorisable } from '../emit.ts';
import { add, mul } from '../expr.ts';
import { bindGroup, type Group, type GroupBuffers, type Lowered, type LowerOptions } from '../group.ts';
import { flatIndex, productExpr } from '../index.ts';
import type { Expr } from '../ir.ts';
import { matmul } from '../matmul.ts';
import type { MatmulPort } from '../matmulTypes.ts';
import { defaultMatmulSchedule, lightened } from '../schedule.ts';

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
  const op = group.ops.find((o) => o.name === 'dot');
  const [lhs, rhs] = op?.operands ?? [];
  const [result] = op?.results ?? [];
  if (!op || !lhs || !rhs || !result) throw new Error('dot group has no dot');
  const s = dotShape([lhs.type, rhs.type], op.attrs);
  const axis = (value: Value, kLast: boolean, mn: Shape): MatmulPort['vectorAxis'] =>
    vectorisable(value, group.producer) && divides(kLast ? s.k : mn) ? (kLast ? 'k' : 'mn') : null;
  const layout = { a: axis(lhs, !s.ta, s.m), b: axis(rhs, s.tb, s.n) };
  const vectorN = divides(s.n) && group.outputs.every((v) => vectorisable(v, group.producer));
  const size = (shape: Shape): number => shape.reduce<number>((p, d) => p * dimSize(d, options.sizes), 1);
  const sizes = { m: size(s.m), n: size(s.n), k: size(s.k) };
  const schedule = lightened(defaultMatmulSchedule(options.device, layout, sizes), epilogueOps(group, op));

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
      k: { of: s.k },
      a: port(lhs, !s.ta, s.m, layout.a),
      b: port(rhs, s.tb, s.n, layout.b),
      store: (b) => {
        const g = bound(b);
        return {
          vectorN,
          store: (_b, at, value, width) => {
            const inner = emitter(g.context);
            inner.define(result, value);
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
