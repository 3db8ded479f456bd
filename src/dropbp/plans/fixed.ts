/** @file `fixed`: a given list of patterns, one a micro-batch, over and over. */

import { EbbError } from '../../errors.ts';
import { unitLists } from '../fields.ts';
import { checkUnits, definePlan } from './plan.ts';

export const fixed = definePlan({
  kind: 'fixed',
  fields: { patterns: unitLists },
  create({ patterns }, { units }) {
    if (patterns.length === 0) throw new EbbError('drop.patterns: expected at least one list of units, found none');
    checkUnits('drop.patterns', patterns.flat(), units);
    return { draw: ({ step, micro, microBatches }) => ({ dropped: patterns[(step * microBatches + micro) % patterns.length] ?? [] }) };
  },
});
