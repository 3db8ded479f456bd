/** @file `uniform`: all units are dropped with one rate (DropBP §3.1, before sensitivities are known). */

import { share } from '../fields.ts';
import { definePlan } from './plan.ts';
import { biasNotes, sampled, sampledFields } from './sampled.ts';

export const uniform = definePlan({
  kind: 'uniform',
  fields: { rate: share, ...sampledFields },
  misfit: ({ rate, weights }) =>
    weights && rate === 1 ? { field: 'weights', expected: 'false at a rate of 1: a unit that is never kept has no weight 1/(1−rate)' } : null,
  create({ rate, sampling, weights }, model) {
    const how = { rates: model.units.map(() => rate), share: rate, sampling, weights };
    return { draw: sampled(model, how), notes: biasNotes(model, how) };
  },
});
