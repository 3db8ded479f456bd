/** @file `fixed`: a given list of patterns. Each micro-batch takes the next one, and after the last one the first again. */

import { at, EbbError } from '../../errors.ts';
import { unitLists } from '../fields.ts';
import { checkUnits } from '../units.ts';
import { defineDropPlan } from './dropPlan.ts';

export const fixed = defineDropPlan({
  kind: 'fixed',
  fields: { patterns: unitLists },
  create({ patterns }, { units }) {
    if (patterns.length === 0) throw new EbbError('drop.patterns: expected at least one list of units, found none');
    checkUnits(patterns.flat(), units, 'drop.patterns');
    return { draw: ({ step, micro, microBatches }) => ({ dropped: at(patterns, (step * microBatches + micro) % patterns.length) }) };
  },
});
