/** @file How much of the backward pass a step left out. */

import type { StepMetrics } from '../train/loop.ts';

/** The share of units whose backward a step left out, from 0 to 1, over its micro-batches. @param units residual branches that a step may drop */
export function droppedShare({ dropped, skipped = [] }: Pick<StepMetrics, 'dropped' | 'skipped'>, units: number): number {
  const count = [...dropped, ...skipped].reduce((n, list) => n + list.length, 0);
  return units === 0 ? 0 : count / (units * Math.max(1, dropped.length));
}
