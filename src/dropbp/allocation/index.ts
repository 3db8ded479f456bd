/** @file The allocations, by name. */

import type { Allocation } from './allocate.ts';
import { official } from './official.ts';
import { type HarmName, optimal } from './optimal.ts';

export const ALLOCATIONS = ['official', 'optimal'] as const;
export type AllocationName = (typeof ALLOCATIONS)[number];

/** The reference code's cap. */
export const MAX_RATE = 0.9;

/** Drop rates by unit. `harm` is what `optimal` minimises. @throws EbbError where no rates reach the target */
export function allocateRates(allocation: AllocationName, input: Allocation, harm: HarmName): readonly number[] {
  return allocation === 'official' ? official(input) : optimal({ ...input, maxRate: MAX_RATE, harm });
}
