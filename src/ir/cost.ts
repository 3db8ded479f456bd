/** @file What ops cost: FLOPs and bytes, counted from shapes at given sizes. */

import { opDef } from './ops/index.ts';
import { byteSize, type DimSizes, type Func, type Op } from './types.ts';

export function opFlops(op: Op, sizes: DimSizes): number {
  if (op.name === 'fused') return (op.body?.ops ?? []).reduce((sum, o) => sum + opFlops(o, sizes), 0);
  if (op.name === 'call') return 0;
  return opDef(op.name).flops(
    op.operands.map((v) => v.type),
    op.results.map((v) => v.type),
    sizes,
    op.attrs,
  );
}

/** FLOPs of a function without its calls. */
export function funcFlops(func: Func, sizes: DimSizes): number {
  return func.ops.reduce((sum, op) => sum + opFlops(op, sizes), 0);
}

/** Bytes that a fused group or an op reads and writes if nothing is cached. */
export function opBytes(op: Op, sizes: DimSizes): number {
  return [...op.operands, ...op.results].reduce((sum, v) => sum + byteSize(v.type, sizes), 0);
}
