/** @file The attention kernels: forward; stats, dQ, and dK with dV backward. */

export { attentionKeyGradient, attentionQueryGradient, attentionStats } from './backward.ts';
export { attentionForward } from './forward.ts';
export type { AttentionSchedule, AttentionSpec } from './spec.ts';
export { type AttentionKernel, attentionSchedule } from './standard.ts';
