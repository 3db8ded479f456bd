/** @file `dropbp`: one rate for all units at first, then rates by sensitivity (DropBP, arXiv 2402.17812, §3.2). */

import { ALLOCATIONS, allocateRates, MAX_RATE } from '../allocation/index.ts';
import { HARMS, type HarmName } from '../allocation/optimal.ts';
import { byUnit, choice, positive, share, shareBelow, withDefault } from '../fields.ts';
import { definePlan, perUnit } from './plan.ts';
import { biasNotes, sampled, sampledFields } from './sampled.ts';

export const dropbp = definePlan({
  kind: 'dropbp',
  fields: {
    /** Share of the backward's cost that is left out on average. */
    rate: share,
    /** How much the gradient changes when a unit alone is dropped, by unit; measured at the end of the uniform steps where it is left out. */
    sensitivities: withDefault(byUnit, {}),
    /** Batches over which they are measured. */
    batches: withDefault(positive, 1),
    /** Share of the steps that are uniform. */
    after: withDefault(share, 0.1),
    allocation: withDefault(choice(ALLOCATIONS), 'official'),
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
  create({ rate, after, batches, allocation, harm, minRate, sampling, weights, ...given }, model) {
    const { units, steps } = model;
    const costs = Object.keys(given.costs).length > 0 ? perUnit('drop.costs', given.costs, units) : model.costs;
    const known = Object.keys(given.sensitivities).length > 0 ? perUnit('drop.sensitivities', given.sensitivities, units) : null;
    const ratesOf = (sensitivities: readonly number[]): readonly number[] => allocateRates(allocation, { sensitivities, costs, rate, minRate }, harm);
    const costed = { ...model, costs };
    const how = { share: rate, sampling, weights };
    const one = units.map(() => rate);
    const first = sampled(costed, { ...how, rates: one });
    const drawings = new WeakMap<readonly number[], ReturnType<typeof sampled>>();
    const bySensitivity = (sensitivities: readonly number[]): ReturnType<typeof sampled> => {
      const made = drawings.get(sensitivities) ?? sampled(costed, { ...how, rates: ratesOf(sensitivities) });
      drawings.set(sensitivities, made);
      return made;
    };
    const switching = Math.floor(after * steps);
    // whether a rate is reached does not depend on them
    const rates = ratesOf(known ?? one);
    const then = known
      ? units.map((u, i) => `${u} ${Number((rates[i] ?? 0).toFixed(3))}`).join(', ')
      : `by sensitivities measured over ${batches === 1 ? 'one batch' : `${batches} batches`}`;
    return {
      draw(moment) {
        const sensitivities = known ?? moment.sensitivities;
        return (moment.step < switching || !sensitivities ? first : bySensitivity(sensitivities))(moment);
      },
      ...(known ? {} : { measure: { at: switching, batches } }),
      notes: [`drop: all units at ${rate} for ${switching} steps, then ${then}`, ...biasNotes(costed, { ...how, rates: known ? rates : one })],
    };
  },
});
