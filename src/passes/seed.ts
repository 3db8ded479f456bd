/** @file The seed of differentiation: the cotangent of the loss, the module's first result, is read from the run-time scalar `loss_scale`. */

import { invariant } from '../errors.ts';
import type { Func, Op, Param, Result, Value } from '../ir/types.ts';

/** Name of the scalar that a step sets to the loss's cotangent, e.g. 1 / number of micro-batches. Tracing keeps the name free in every function. */
export const LOSS_SCALE = 'loss_scale';

/** Replaces parameter `param` of `backward`, which is the cotangent f32[] of the loss, with the run-time scalar `loss_scale`. */
export function seed(backward: Func, param: number): Func {
  const cotangent = backward.params[param];
  invariant(
    cotangent?.role === 'cotangent' && cotangent.value.type.dtype === 'f32' && cotangent.value.type.shape.length === 0,
    `@${backward.name}: the seed of differentiation can only replace a cotangent f32[]`,
  );
  const scale: Value = { ...cotangent.value, name: LOSS_SCALE };
  const swap = (v: Value): Value => (v === cotangent.value ? scale : v);
  return {
    ...backward,
    params: backward.params.map((p): Param => (p === cotangent ? { value: scale, role: 'scalar' } : p)),
    ops: backward.ops.map((op): Op => ({ ...op, operands: op.operands.map(swap) })),
    results: backward.results.map((r): Result => ({ ...r, value: swap(r.value) })),
  };
}
