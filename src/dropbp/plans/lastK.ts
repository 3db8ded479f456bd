/** @file `last-k`: the last units alone have a backward; the frontier ends it there. */

import { EbbError } from '../../errors.ts';
import { positive } from '../fields.ts';
import { definePlan } from './plan.ts';

export const lastK = definePlan({
  kind: 'last-k',
  fields: { units: positive },
  create({ units: count }, { units }) {
    if (count > units.length) throw new EbbError(`drop.units: is ${count}, expected at most the model's ${units.length} units`);
    return { draw: () => ({ dropped: units.slice(0, units.length - count) }) };
  },
});
