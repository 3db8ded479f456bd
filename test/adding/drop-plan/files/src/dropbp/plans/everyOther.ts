/** @file `every-other`: units take turns, each `turns`-th one has a backward. */

import { positive, withDefault } from '../fields.ts';
import { definePlan } from './plan.ts';

export const everyOther = definePlan({
  kind: 'every-other',
  /** How many units share one backward. */
  fields: { turns: withDefault(positive, 2) },
  create: ({ turns }, { units }) => ({ draw: ({ step }) => ({ dropped: units.filter((_, i) => i % turns !== step % turns) }) }),
});
