/** @file `dropbp`: one rate for all units at first, then rates by sensitivity (DropBP, arXiv 2402.17812, §3.2). */

import { official } from '../allocation/official.ts';
import { HARMS, type HarmName, optimal } from '../allocation/optimal.ts';
import { byUnit, choice, share, shareBelow, withDefault } from '../fields.ts';
import { definePlan, perUnit } from './plan.ts';
import { biasNotes, sampled, sampledFields } from './sampled.ts';

/** The reference code's cap. */
const MAX_RATE = 0.9;

export const dropbp = definePlan({
  kind: 'dropbp',
  fields: {
    /** Share of the backward's cost that is left out on average. */
    rate: share,
    /** How much the gradient changes when a unit alone is dropped, by unit. */
    sensitivities: byUnit,
    /** Share of the steps that are uniform. */
    after: withDefault(share, 0.1),
    allocation: withDefault(choice(['official', 'optimal']), 'official'),
    /** What `optimal` minimises, times the sensitivities: `bias` r², `error` r, `variance` r/(1−r). */
    harm: withDefault(choice(Object.keys(HARMS) as HarmName[]), 'bias'),
    /** No unit is dropped more rarely. */
    minRate: withDefault(shareBelow(MAX_RATE), 0),
    /** What each unit's backward costs, by unit, e.g. milliseconds on this device; FLOPs where it is left out. */
    costs: withDefault(byUnit, {}),
    ...sampledFields,
  },
  misfit: ({ rate, weights }) =>
    weights && rate === 1 ? { field: 'weights', expected: 'false at a rate of 1: a unit that is never kept has no weight 1/(1−rate)' } : null,
  create({ rate, after, allocation, harm, minRate, sampling, weights, ...given }, model) {
    const { units, steps } = model;
    const costs = Object.keys(given.costs).length > 0 ? perUnit('drop.costs', given.costs, units) : model.costs;
    const sensitivities = perUnit('drop.sensitivities', given.sensitivities, units);
    const input = { sensitivities, costs, rate, minRate };
    const rates = allocation === 'official' ? official(input) : optimal({ ...input, maxRate: MAX_RATE, harm });
    const costed = { ...model, costs };
    const how = { share: rate, sampling, weights };
    const first = sampled(costed, { ...how, rates: units.map(() => rate) });
    const then = sampled(costed, { ...how, rates });
    const switching = Math.floor(after * steps);
    return {
      draw: (moment) => (moment.step < switching ? first : then)(moment),
      notes: [
        `drop: all units at ${rate} for ${switching} steps, then ${units.map((u, i) => `${u} ${Number((rates[i] ?? 0).toFixed(3))}`).join(', ')}`,
        ...biasNotes(costed, { ...how, rates }),
      ],
    };
  },
});
