/** @file The attention kernels: forward; stats, dQ, and dK with dV backward. Their buffers go by name (`AttentionBuffer` of ./frame.ts). */

import type { Kernel } from '../ir.ts';
import { rowsKeyGradient, rowsQueryGradient } from './rows/backward.ts';
import { rowsForward } from './rows/forward.ts';
import type { AttentionSchedule } from './schedule.ts';
import type { AttentionSpec } from './spec.ts';
import { spreadForward, spreadKeyGradient, spreadQueryGradient } from './spread/kernels.ts';

export { attentionStats } from './stats.ts';

/** Reads q, k, v, with segments segQ and, unless they are shared, segK; writes out and lse. */
export function attentionForward(spec: AttentionSpec, schedule: AttentionSchedule): Kernel {
  return schedule.kind === 'rows' ? rowsForward(spec, schedule) : spreadForward(spec, schedule);
}

/** Reads q, k, v, dout, stats, with segments of their own segK, with a rotation angles; writes dq. */
export function attentionQueryGradient(spec: AttentionSpec, schedule: AttentionSchedule): Kernel {
  return schedule.kind === 'rows' ? rowsQueryGradient(spec, schedule) : spreadQueryGradient(spec, schedule);
}

/** Reads q, k, v, dout, stats, with segments of their own segK, with a rotation angles; writes dk and dv, sums over the query heads of a key head. */
export function attentionKeyGradient(spec: AttentionSpec, schedule: AttentionSchedule): Kernel {
  return schedule.kind === 'rows' ? rowsKeyGradient(spec, schedule) : spreadKeyGradient(spec, schedule);
}
