/** @file Lowers a `fused` group to a kernel. Each kind of group has a file here; ./ops.ts lists the ops that have a kernel of their own. */

import { invariant } from '../../../errors.ts';
import { isBuiltIn, kindOf, opDef } from '../../../ir/ops/index.ts';
import type { Op } from '../../../ir/types.ts';
import { withoutIdleLets } from '../rewrite/tidy.ts';
import { checkAgreement } from './agreement.ts';
import { lowerColumn } from './column.ts';
import { lowerDot } from './dot.ts';
import { groupOf } from './group.ts';
import type { BoundKernel, Lowered } from './lowered.ts';
import { lowerMap } from './map.ts';
import { kernelOf } from './ops.ts';
import type { LowerOptions } from './options.ts';
import { lowerRow } from './row.ts';

/** Lowers one `fused` op to a kernel, or to two that run one after the other. */
export function lowerGroup(op: Op, options: LowerOptions): Lowered {
  const { before, ...own } = lowered(op, options);
  return { ...clean(own), ...(before ? { before: clean(before) } : {}) };
}

const clean = <K extends BoundKernel>(bound: K): K => ({ ...bound, kernel: { ...bound.kernel, body: withoutIdleLets(bound.kernel.body) } });

function lowered(op: Op, options: LowerOptions): Lowered {
  const group = groupOf(op);
  for (const { name } of group.ops) if (!isBuiltIn(name)) checkAgreement(opDef(name));
  switch (group.kind) {
    case 'map':
      return lowerMap(group, options);
    case 'row':
      return lowerRow(group, options);
    case 'column':
      return lowerColumn(group, options);
    case 'dot':
      return lowerDot(group, options);
    default: {
      const anchor = group.ops.find((o) => kindOf(o) === 'kernel');
      invariant(anchor, `group ${group.name} has no op with a kernel of its own (${group.ops.map((o) => o.name).join(', ')})`);
      return kernelOf(anchor)(group, anchor, options);
    }
  }
}
