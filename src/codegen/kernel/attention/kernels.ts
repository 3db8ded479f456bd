/** @file The attention kernels: forward; stats, dQ, and dK with dV backward. */

export { attentionKeyGradient, attentionQueryGradient, attentionStats } from './rows/backward.ts';
export { attentionForward } from './rows/forward.ts';
export type { AttentionSpec } from './spec.ts';
