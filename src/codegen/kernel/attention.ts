/** @file The attention kernels: forward; stats, dQ, and dK with dV backward. */

export { attentionKeyGradient, attentionQueryGradient, attentionStats } from './attentionBackward.ts';
export { attentionForward } from './attentionForward.ts';
export { type AttentionKernel, attentionSchedule } from './attentionSchedule.ts';
export type { AttentionSchedule, AttentionSpec } from './attentionTypes.ts';
