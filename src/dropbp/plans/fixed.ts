/** @file `fixed`: a given list of patterns, one a micro-batch, over and over. */

import { EbbError } from '../../errors.ts';
import type { Plan } from './plan.ts';

/** @throws EbbError for an empty list or a unit the model does not have */
export function fixed(patterns: readonly (readonly string[])[], units: readonly string[]): Plan {
  if (patterns.length === 0) throw new EbbError('drop.patterns: expected at least one list of units, found none');
  const unknown = patterns.flat().find((u) => !units.includes(u));
  if (unknown !== undefined)
    throw new EbbError(`drop.patterns: unknown unit ${unknown}; the model has ${units.slice(0, 4).join(', ')}, … (${units.length} units)`);
  return ({ step, micro, microBatches }) => patterns[(step * microBatches + micro) % patterns.length] ?? [];
}
