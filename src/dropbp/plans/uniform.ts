/** @file `uniform`: all units are dropped with the same rate (DropBP, arXiv 2402.17812, §3.1). */

import { share } from '../fields.ts';
import { defineDropPlan } from './dropPlan.ts';
import { biasNotes, drawByRates, rateFields, weightsMisfit } from './rateDraw.ts';

export const uniform = defineDropPlan({
  kind: 'uniform',
  fields: { rate: share, ...rateFields },
  misfit: weightsMisfit,
  create({ rate, sampling, weights }, model) {
    const how = { rates: model.units.map(() => rate), share: rate, sampling, weights };
    return { draw: drawByRates(model, how), notes: biasNotes(model, how) };
  },
});
