/** @file The seed of differentiation: the cotangent of the module's first result is the run-time scalar `loss_scale`, and no other is. */

import { invariant } from '../errors.ts';
import type { Func, Op, Param, Result, Value } from '../ir/types.ts';

/** What a step gives for the loss's own cotangent, e.g. 1 / number of micro-batches. Tracing keeps this name free in every function. */
export const LOSS_SCALE = 'loss_scale';

/** `backward` with its parameter `param`, which is the cotangent f32[] of the module's first result, as the run-time scalar `loss_scale`. */
export function seed(backward: Func, param: number): Func {
  const cotangent = backward.params[param];
  invariant(
    cotangent?.role === 'cotangent' && cotangent.value.type.dtype === 'f32' && cotangent.value.type.shape.length === 0,
    `@${backward.name}: the seed of differentiation takes the place of a cotangent f32[]`,
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
