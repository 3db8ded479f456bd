/** @file Which parameters of a function a cotangent of each result flows back to. */

import type { Func } from '../ir/types.ts';
import { grad } from './grad.ts';
import { expandForGrad } from './simplify.ts';

/**
 * For each result the parameters that get a gradient from its cotangent. A result that depends on a parameter by ids, comparisons or
 * `stop_gradient` alone has none for it. `func` is as it was traced.
 */
export function flowsOf(func: Func): readonly (readonly number[])[] {
  const expanded = expandForGrad(func);
  const wanted = func.params.map((p) => p.value.type.dtype === 'f32' && p.role !== 'scalar');
  return func.results.map((_, k) => {
    const joint = grad(expanded, { cotangents: func.results.map((_r, i) => i === k), wanted });
    return joint.results.flatMap((r) => (r.role === 'grad' && r.of !== undefined ? [r.of] : []));
  });
}
