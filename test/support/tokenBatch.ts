/** @file A batch of token ids as the training loop takes it. */

import type { Batch } from '../../src/train/batches.ts';

export function tokenBatch(
  [B, T]: readonly [number, number],
  tokens: Int32Array,
  targets: Int32Array = tokens,
  segments: Int32Array = new Int32Array(B * T).fill(1),
): Batch {
  return { sizes: { B, T }, inputs: { tokens, targets, segments }, tokens: B * T, counted: B * T };
}
