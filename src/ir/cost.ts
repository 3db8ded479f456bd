/** @file What ops cost: FLOPs and bytes, counted from shapes at given sizes. */

import { opDef } from './ops/index.ts';
import type { DimSizes, Op } from './types.ts';

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
