/** @file Lowers `column` groups, which reduce axes other than the last. Lanes along x have an output each; lanes along y share the reduced elements. */

import { at, invariant } from '../../../errors.ts';
import { combineOf, kindOf } from '../../../ir/ops/index.ts';
import type { Shape } from '../../../ir/types.ts';
import { kernelBuilder, ONE_GROUP } from '../builder.ts';
import { kindTraits } from '../device.ts';
import { add, and, builtin, eq, f32, lt, min, mul, sub, u32 } from '../expr.ts';
import { bindGroup, type Group, gridOf } from './group.ts';
import type { Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';
import { axesIndex, flatIndex, productExpr } from './position.ts';

export function lowerColumn(group: Group, options: LowerOptions): Lowered {
  const op = group.ops.find((o) => kindOf(o) === 'reduce');
  invariant(op, 'a column group reduces nothing');
  const x = at(op.operands, 0);
  const total = at(op.results, 0);
  const combine = combineOf(op);
  const [columns, shares] = kindTraits(options.device).lanesInTurn ? [8, 8] : [32, 8];
  const axes = op.attrs['axes'] as readonly number[];
  const reduced: Shape = x.type.shape.map((d, i) => (axes.includes(i) ? d : 1));

  const b = kernelBuilder(group.name, [columns, shares, 1]);
  const { emit, storeAll, values } = bindGroup(b, group, options, () => false);
  const count = b.let('count', productExpr(total.type.shape, emit.scope));
  const wanted = b.let('wanted', add(mul(b.linearWorkgroup(), u32(columns)), builtin('localX')));
  const place = b.let('at', min(wanted, sub(count, u32(1))));
  const depth = b.let('depth', productExpr(reduced, emit.scope));
  const outIndex = flatIndex(total.type.shape, place, emit.scope);
  const outAxes = outIndex.axes();
  const acc = b.var('acc', 'f32', f32(combine.identity));
  b.for('r', builtin('localY'), depth, u32(shares), (r) => {
    const inner = emit.inner();
    const reducedAxes = flatIndex(reduced, r, inner.scope).axes();
    const index = axesIndex(
      x.type.shape,
      x.type.shape.map((_, i) => at(axes.includes(i) ? reducedAxes : outAxes, i)),
      inner.scope,
    );
    acc.set(combine.expr(acc.get, inner.emit(x, index, 1)));
  });
  const partial = b.shared('partial', 'f32', columns * shares);
  partial.setAt(add(mul(builtin('localY'), u32(columns)), builtin('localX')), acc.get);
  b.barrier();
  b.if(and(eq(builtin('localY'), u32(0)), lt(wanted, count)), () => {
    const sum = b.var('total', 'f32', partial.at(builtin('localX')));
    for (let y = 1; y < shares; y++) sum.set(combine.expr(sum.get, partial.at(add(u32(y * columns), builtin('localX')))));
    const inner = emit.inner();
    inner.define(total, sum.get);
    storeAll(group.outputs, place, inner, 1);
  });
  return { kernel: b.finish([gridOf(total.type.shape, columns), ONE_GROUP, ONE_GROUP]), values };
}
