/** @file Ops with a kernel of their own, by name. Adding one is a file and a line here; without it this does not type-check. */

import { EbbError } from '../../../errors.ts';
import type { OpName } from '../../../ir/ops/index.ts';
import type { Op } from '../../../ir/types.ts';
import { lowerAttention, lowerAttentionDkv, lowerAttentionDq, lowerAttentionStats } from './attention.ts';
import { lowerCacheWrite } from './cacheWrite.ts';
import type { Group } from './group.ts';
import type { Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';
import { lowerScatterAdd } from './scatterAdd.ts';

export type LowerKernelOp = (group: Group, op: Op, options: LowerOptions) => Lowered;

const KERNELS: Readonly<Record<OpName<'kernel'>, LowerKernelOp>> = {
  attention: lowerAttention,
  attention_stats: lowerAttentionStats,
  attention_dq: lowerAttentionDq,
  attention_dkv: lowerAttentionDkv,
  cache_write: lowerCacheWrite,
  scatter_add: lowerScatterAdd,
};

/** How a kernel is made of an op. @throws EbbError for an op without one, which a program can define */
export function kernelOf(op: Op): LowerKernelOp {
  const found = Object.entries(KERNELS).find(([name]) => name === op.name);
  if (!found) throw new EbbError(`op ${op.name} is of kind "kernel", and there is no kernel for it; give it another kind`);
  return found[1];
}
