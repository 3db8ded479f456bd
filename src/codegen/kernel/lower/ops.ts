/** @file Ops with a kernel of their own, by name. To add one, write its file and list it here; without the line this does not type-check. */

import { EbbError } from '../../../errors.ts';
import type { OpName } from '../../../ir/ops/index.ts';
import type { Op } from '../../../ir/types.ts';
import { lowerAttention, lowerAttentionDkv, lowerAttentionDq, lowerAttentionStats } from './attention.ts';
import { lowerCacheWrite } from './cacheWrite.ts';
import type { LowerKernelOp } from './kernelOp.ts';
import { lowerScatterAdd } from './scatterAdd.ts';

const KERNELS: Readonly<Record<OpName<'kernel'>, LowerKernelOp>> = {
  attention: lowerAttention,
  attention_stats: lowerAttentionStats,
  attention_dq: lowerAttentionDq,
  attention_dkv: lowerAttentionDkv,
  cache_write: lowerCacheWrite,
  scatter_add: lowerScatterAdd,
};

/** The function that lowers an op of kind `kernel`. @throws EbbError if there is none, as for an op that a user registered */
export function kernelOf(op: Op): LowerKernelOp {
  const found = Object.entries(KERNELS).find(([name]) => name === op.name);
  if (!found) throw new EbbError(`op ${op.name} is of kind "kernel", and there is no kernel for it; give it another kind`);
  return found[1];
}
