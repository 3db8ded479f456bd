/** @file Combines elements over the lanes of a workgroup, in a fixed order; every lane gets the same result, which is NaN if one element is. */

import type { Combine } from '../../../ir/define.ts';
import type { KernelBuilder } from '../builder.ts';
import { add, builtin, component, lt, u32 } from '../expr.ts';
import type { Expr } from '../ir.ts';

/**
 * Combines `value` over the first `lanes` lanes along x (a power of two). If the workgroup is one subgroup and there is a function for that, a
 * subgroup function does it, otherwise a tree in workgroup memory. Call it in uniform control flow only.
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

/** Combines the four components of a vec4. */
export function horizontal({ expr }: Combine, value: Expr): Expr {
  return expr(expr(component(value, 0), component(value, 1)), expr(component(value, 2), component(value, 3)));
}
