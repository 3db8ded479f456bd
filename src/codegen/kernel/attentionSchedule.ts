/** @file Which attention schedule a device starts with. */

import { isSoftware } from '../../runtime/adapterKind.ts';
import type { AttentionSchedule } from './attentionTypes.ts';
import type { DeviceTraits } from './schedule.ts';

export type AttentionKernel = 'forward' | 'queryGradient' | 'keyGradient';

/** vec4 registers a row takes per chunk: what it holds and what it sums up. */
const HELD: Record<AttentionKernel, number> = { forward: 2, queryGradient: 3, keyGradient: 4 };

/**
 * A sensible schedule. `rows` are the queries (keys for keyGradient) and `others` what they walk over, typical values.
 * Measured causal in a step of 2 × 256 tokens, 4 heads of 64, GFLOP/s forward, dQ, dK/dV: lavapipe 19, 21, 22 (8, 8, 9 where every lane loads the
 * rows itself), SwiftShader 2.6, 2.7, 2.7. `rows` took LLVM 13–45 s to compile.
 */
export function attentionSchedule(
  kernel: AttentionKernel,
  device: DeviceTraits,
  sizes: { readonly rows: number; readonly others: number; readonly headDim: number },
): AttentionSchedule {
  const software = isSoftware(device.kind);
  const chunks = Math.ceil(sizes.headDim / 4);
  const lanes = device.subgroupSize;
  if (software && lanes !== null) {
    const perLane = Math.ceil((sizes.headDim % 4 === 0 ? chunks : sizes.headDim) / lanes);
    const held = device.kind === 'lavapipe' ? 8 : 16;
    return { kind: 'subgroup', lanes, rows: power(Math.min(4, held / perLane, sizes.rows)), splits: 1, dimLanes: 1 };
  }
  const dimLanes = software || !device.subgroups || sizes.headDim % 4 !== 0 ? 1 : ([4, 2, 1].find((count) => chunks % count === 0) ?? 1);
  const wide = software ? 8 : 64 / dimLanes;
  if (!software && kernel === 'forward' && sizes.rows * 4 <= wide) return decode(device, sizes.others, chunks, dimLanes);
  const perRow = (HELD[kernel] * chunks) / dimLanes;
  const rows = software ? 1 : Math.min(4, 32 / perRow, sizes.rows / wide);
  return { kind: 'rows', lanes: wide, rows: power(rows), splits: 1, dimLanes };
}

/** The largest power of two not above `value`, at least 1. */
function power(value: number): number {
  let result = 1;
  while (result * 2 <= value) result *= 2;
  return result;
}

/** Few queries: lanes go along the keys, as many as workgroup memory can merge. */
function decode(device: DeviceTraits, keys: number, chunks: number, dimLanes: number): AttentionSchedule {
  const bytesPerSplit = dimLanes * 8 + chunks * 16;
  const splits = power(Math.min(32, keys, device.maxWorkgroupStorage / bytesPerSplit, device.maxInvocations / dimLanes));
  return { kind: 'rows', lanes: 1, rows: 1, splits, dimLanes };
}
