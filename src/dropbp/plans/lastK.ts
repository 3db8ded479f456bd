/** @file `last-k`: only the last units have a backward, which ends at the first of them (the frontier). */

import { EbbError } from '../../errors.ts';
import { positive } from '../fields.ts';
import { defineDropPlan } from './dropPlan.ts';

export const lastK = defineDropPlan({
  kind: 'last-k',
  /** Number of units that have a backward. */
  fields: { units: positive },
  create({ units: count }, { units }) {
    if (count > units.length) throw new EbbError(`drop.units: is ${count}, expected at most the model's ${units.length} units`);
    return { draw: () => ({ dropped: units.slice(0, units.length - count) }) };
  },
});
