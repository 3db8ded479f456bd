/** @file `stochastic-depth`: units are left out of forward too, later units more often (Huang et al. 2016, arXiv 1603.09382). */

import { EbbError } from '../../errors.ts';
import { shareBelow } from '../fields.ts';
import { drawStream } from '../random.ts';
import { defineDropPlan } from './dropPlan.ts';

/**
 * For comparison with DropBP: of U units, unit l = 1 … U is skipped with the probability l/U · `rate`, independently of the others (the
 * paper's linear decay, p_l = 1 − l/L·(1 − p_L)). The paper multiplies each branch by its p_l in evaluation. Here a kept branch is
 * multiplied by 1/p_l in training instead. Both are the same model, with the branch f in the place of f/p_l, and here the expected branch
 * in training is the plain branch. So evaluation, the checkpoint that is written, and whoever loads it run the architecture unchanged.
 */
export const stochasticDepth = defineDropPlan({
  kind: 'stochastic-depth',
  fields: { rate: shareBelow(1) },
  scales: true,
  create({ rate }, { units, scaled }) {
    if (!scaled) throw new EbbError('drop.kind: stochastic-depth multiplies kept branches, and this program was compiled without that; use ebb train');
    const rateOf = (i: number): number => ((i + 1) / units.length) * rate;
    const scales = new Map(units.map((u, i): [string, number] => [u, 1 / (1 - rateOf(i))]));
    return {
      draw({ seed, step, micro }) {
        const random = drawStream(seed, step, micro);
        return { dropped: [], skipped: units.filter((_, i) => random(i) < rateOf(i)), scales };
      },
    };
  },
});
