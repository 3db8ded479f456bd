/** @file The attention kernels: forward; stats, dQ, and dK with dV backward. */

export { attentionKeyGradient, attentionQueryGradient, attentionStats } from './backward.ts';
export { attentionForward } from './forward.ts';
export type { AttentionSpec } from './spec.ts';
