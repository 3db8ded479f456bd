/** @file The cost of an op: its FLOPs as terms of the run-time dimensions, computed from the types of its operands and results. */

import { type Cost, costAt, sumOf } from '../cost.ts';
import { funcBuilder } from './builder.ts';
import { OpError } from './constraint.ts';
import { opDef } from './ops/index.ts';
import type { DimSizes, Op } from './types.ts';

/** FLOPs of an op. A group costs the sum of its ops; a call costs nothing, since its FLOPs are counted in the function that it calls. */
export function opCost(op: Op): Cost {
  if (op.body) return sumOf(op.body.ops.map(opCost));
  const { name, flops, decompose } = opDef(op.name);
  const operands = op.operands.map((v) => v.type);
  if (flops) {
    const cost: unknown = flops(
      operands,
      op.results.map((v) => v.type),
      op.attrs,
    );
    // An op that is written in JavaScript, or for a version of Ebb without terms, may return a number.
    if (!Array.isArray(cost)) throw new OpError(`${name}: flops must be a list of terms { times, of }, found ${JSON.stringify(cost)}; productOf makes one`);
    return cost as Cost;
  }
  if (!decompose) throw new OpError(`${name}: has neither flops nor a decomposition to count them in`);
  const b = funcBuilder();
  decompose(
    b,
    operands.map((type, i) => b.param(`operand${i}`, type, 'value')),
    op.attrs,
  );
  return sumOf(b.added.map(opCost));
}

/** FLOPs of an op at given sizes of the run-time dimensions. */
export function opFlops(op: Op, sizes: DimSizes): number {
  return costAt(opCost(op), sizes);
}
