/** @file Ops with a kernel of their own, by name. Adding one is a file and a line here. */

import type { Op } from '../../../ir/types.ts';
import { lowerAttention, lowerAttentionDkv, lowerAttentionDq, lowerAttentionStats } from './attention.ts';
import { lowerCacheWrite } from './cacheWrite.ts';
import type { Group } from './group.ts';
import type { Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';
import { lowerScatterAdd } from './scatterAdd.ts';

export type LowerKernelOp = (group: Group, op: Op, options: LowerOptions) => Lowered;

export const kernelOps: Readonly<Record<string, LowerKernelOp>> = {
  attention: lowerAttention,
  attention_stats: lowerAttentionStats,
  attention_dq: lowerAttentionDq,
  attention_dkv: lowerAttentionDkv,
  cache_write: lowerCacheWrite,
  scatter_add: lowerScatterAdd,
};
