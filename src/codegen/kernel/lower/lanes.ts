/** @file Elements put together over the lanes of a workgroup, the same in every lane afterwards, in a fixed order. A NaN among them comes out. */

import type { Combine } from '../../../ir/define.ts';
import type { KernelBuilder } from '../builder.ts';
import { add, builtin, component, lt, u32 } from '../expr.ts';
import type { Expr } from '../ir.ts';

/**
 * Combines `value` over the first `lanes` lanes along x (a power of two): by subgroup where the workgroup is one and there is a function for
 * it, else by a tree in workgroup memory. Must be called in uniform control flow.
 */
export function acrossLanes(b: KernelBuilder, { expr, subgroup }: Combine, value: Expr, lanes: number, isSubgroup: boolean): Expr {
  if (lanes === 1) return value;
  if (isSubgroup && subgroup) return b.let('all', subgroup(value, b.let));
  const shared = b.shared('partial', 'f32', lanes);
  const lane = builtin('localX');
  b.barrier();
  shared.setAt(lane, value);
  b.barrier();
  for (let half = lanes / 2; half >= 1; half /= 2) {
    b.if(lt(lane, u32(half)), () => shared.setAt(lane, expr(shared.at(lane), shared.at(add(lane, u32(half))))));
    b.barrier();
  }
  return b.let('all', shared.at(u32(0)));
}

/** The four components of a vec4 put together. */
export function horizontal({ expr }: Combine, value: Expr): Expr {
  return expr(expr(component(value, 0), component(value, 1)), expr(component(value, 2), component(value, 3)));
}
