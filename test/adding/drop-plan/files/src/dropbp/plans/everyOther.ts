/** @file `every-other`: units take turns, and each `turns`-th one has a backward. */

import { positive, withDefault } from '../fields.ts';
import { defineDropPlan } from './dropPlan.ts';

export const everyOther = defineDropPlan({
  kind: 'every-other',
  /** How many units share one backward. */
  fields: { turns: withDefault(positive, 2) },
  create: ({ turns }, { units }) => ({ draw: ({ step }) => ({ dropped: units.filter((_, i) => i % turns !== step % turns) }) }),
});
