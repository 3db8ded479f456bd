/** @file The attention kernels: forward; delta, dQ, and dK with dV backward. */

export { attentionDelta, attentionKeyGradient, attentionQueryGradient } from './attentionBackward.ts';
export { attentionForward } from './attentionForward.ts';
export { type AttentionKernel, attentionSchedule } from './attentionSchedule.ts';
export type { AttentionSchedule, AttentionSpec } from './attentionTypes.ts';
