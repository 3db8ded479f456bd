/** @file The allocations by name. */

import type { Allocation } from './allocate.ts';
import { official } from './official.ts';
import { type HarmName, optimal } from './optimal.ts';

export const ALLOCATIONS = ['official', 'optimal'] as const;
export type AllocationName = (typeof ALLOCATIONS)[number];

/** No unit is dropped more often than this; the reference code has the same cap. */
export const MAX_RATE = 0.9;

/** Returns the drop rate of each unit. @param harm what `optimal` minimises @throws EbbError where no rates reach the target */
export function allocateRates(allocation: AllocationName, input: Allocation, harm: HarmName): readonly number[] {
  return allocation === 'official' ? official(input) : optimal({ ...input, maxRate: MAX_RATE, harm });
}
