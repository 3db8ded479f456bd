/** @file Sums and maxima over the lanes of a workgroup, the same in every lane afterwards, in a fixed order. A NaN among them comes out. */

import type { KernelBuilder } from './builder.ts';
import { add, builtin, call, lt, u32 } from './expr.ts';
import type { Expr } from './ir.ts';
import { maxOf, nanFlag, nanWhere } from './numerics.ts';

export type Combine = 'sum' | 'max';

export function combine(kind: Combine, x: Expr, y: Expr): Expr {
  return kind === 'sum' ? add(x, y) : maxOf(x, y);
}

/**
 * Combines `value` over the first `lanes` lanes along x (a power of two): by subgroup when the workgroup is one, else by a tree in
 * workgroup memory. Must be called in uniform control flow.
 */
export function acrossLanes(b: KernelBuilder, kind: Combine, value: Expr, lanes: number, subgroup: boolean): Expr {
  if (lanes === 1) return value;
  if (subgroup && kind === 'sum') return b.let('all', call('subgroupAdd', value));
  if (subgroup) {
    const own = b.let('own', value);
    const [largest, flag] = [b.let('largest', call('subgroupMax', own)), b.let('flag', call('subgroupMax', nanFlag(own)))];
    return b.let('all', nanWhere(largest, flag));
  }
  const shared = b.shared('partial', 'f32', lanes);
  const lane = builtin('localX');
  b.barrier();
  shared.setAt(lane, value);
  b.barrier();
  for (let half = lanes / 2; half >= 1; half /= 2) {
    b.if(lt(lane, u32(half)), () => shared.setAt(lane, combine(kind, shared.at(lane), shared.at(add(lane, u32(half))))));
    b.barrier();
  }
  return b.let('all', shared.at(u32(0)));
}

/** Sum of a vec4's components. */
export function horizontal(kind: Combine, value: Expr): Expr {
  const part = (i: number): Expr => ({ kind: 'component', type: 'f32', of: value, index: u32(i) });
  return combine(kind, combine(kind, part(0), part(1)), combine(kind, part(2), part(3)));
}
