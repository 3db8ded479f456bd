/** @file Finds the parameters of a function to which the cotangent of each result flows back. */

import type { Func } from '../ir/types.ts';
import { grad } from './grad.ts';
import { expandForGrad } from './simplify.ts';

/**
 * For each result of a traced function, the indices of the parameters that get a gradient from its cotangent. A parameter on which the result
 * depends only through ids, comparisons or `stop_gradient` gets none.
 */
export function flowsOf(func: Func): readonly (readonly number[])[] {
  const expanded = expandForGrad(func);
  const wanted = func.params.map((p) => p.value.type.dtype === 'f32' && p.role !== 'scalar');
  return func.results.map((_, k) => {
    const joint = grad(expanded, { cotangents: func.results.map((_r, i) => i === k), wanted });
    return joint.results.flatMap((r) => (r.role === 'grad' && r.of !== undefined ? [r.of] : []));
  });
}
