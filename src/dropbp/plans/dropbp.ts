/** @file `dropbp`: one rate for all units at first, then rates by sensitivity (DropBP, arXiv 2402.17812, §3.2). */

import { at } from '../../errors.ts';
import { ALLOCATIONS, allocateRates, MAX_RATE } from '../allocation/index.ts';
import { HARMS, type HarmName } from '../allocation/optimal.ts';
import { byUnit, choice, positive, share, shareBelow, withDefault } from '../fields.ts';
import { type Draw, defineDropPlan, type Moment, perUnit } from './dropPlan.ts';
import { biasNotes, drawByRates, rateFields, weightsMisfit } from './rateDraw.ts';

/** The numbers of a key by unit, or null where the key is left out. */
const givenNumbers = (field: string, given: Readonly<Record<string, number>>, units: readonly string[]): number[] | null =>
  Object.keys(given).length > 0 ? perUnit(field, given, units) : null;

export const dropbp = defineDropPlan({
  kind: 'dropbp',
  fields: {
    /** Share of the backward's cost that is left out on average. */
    rate: share,
    /** By unit, how much the gradient changes when the unit alone is dropped. Left out: measured at the end of the uniform steps. */
    sensitivities: withDefault(byUnit, {}),
    /** Number of batches over which sensitivities are measured. */
    batches: withDefault(positive, 1),
    /** Share of the steps in which all units have the same rate. */
    after: withDefault(share, 0.1),
    allocation: withDefault(choice(ALLOCATIONS), 'official'),
    /** What `optimal` minimises, times the sensitivities: `bias` r², `error` r, `variance` r/(1−r). */
    harm: withDefault(choice(Object.keys(HARMS) as HarmName[]), 'bias'),
    /** No unit is dropped more rarely than this. */
    minRate: withDefault(shareBelow(MAX_RATE), 0),
    /** By unit, the cost of its backward, for example in milliseconds on this device. Left out: FLOPs. */
    costs: withDefault(byUnit, {}),
    ...rateFields,
  },
  misfit: weightsMisfit,
  create({ rate, after, batches, allocation, harm, minRate, sampling, weights, ...given }, model) {
    const { units, steps } = model;
    const costs = givenNumbers('drop.costs', given.costs, units) ?? model.costs;
    const known = givenNumbers('drop.sensitivities', given.sensitivities, units);
    const costed = { ...model, costs };
    const how = { share: rate, sampling, weights };
    const uniformRates = units.map(() => rate);
    const ratesOf = (sensitivities: readonly number[]): readonly number[] => allocateRates(allocation, { sensitivities, costs, rate, minRate }, harm);
    // whether the target is reached does not depend on the sensitivities, so a target out of reach is refused before the run
    const rates = ratesOf(known ?? uniformRates);
    const uniformDraw = drawByRates(costed, { ...how, rates: uniformRates });
    const draws = new WeakMap<readonly number[], (moment: Moment) => Draw>();
    const drawBy = (sensitivities: readonly number[]): ((moment: Moment) => Draw) => {
      const draw = draws.get(sensitivities) ?? drawByRates(costed, { ...how, rates: ratesOf(sensitivities) });
      draws.set(sensitivities, draw);
      return draw;
    };
    const switching = Math.floor(after * steps);
    const then = known
      ? units.map((u, i) => `${u} ${Number(at(rates, i).toFixed(3))}`).join(', ')
      : `by sensitivities measured over ${batches === 1 ? 'one batch' : `${batches} batches`}`;
    return {
      draw(moment) {
        const sensitivities = known ?? moment.sensitivities;
        return (moment.step < switching || !sensitivities ? uniformDraw : drawBy(sensitivities))(moment);
      },
      ...(known ? {} : { measure: { at: switching, batches } }),
      notes: [`drop: all units at ${rate} for ${switching} steps, then ${then}`, ...biasNotes(costed, { ...how, rates: known ? rates : uniformRates })],
    };
  },
});
