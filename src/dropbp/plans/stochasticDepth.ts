/** @file `stochastic-depth`: units are left out of forward too, the later the oftener (Huang et al. 2016, arXiv 1603.09382). */

import { EbbError } from '../../errors.ts';
import { shareBelow } from '../fields.ts';
import { drawStream } from '../random.ts';
import { definePlan } from './plan.ts';

/**
 * For comparison with DropBP: of U units, unit l = 1 … U is skipped with l/U · `rate`, on its own (the paper's linear decay, p_l = 1 − l/L·(1 − p_L)).
 * The paper multiplies each branch by its p_l in evaluation; here a kept branch is multiplied by 1/p_l in training instead. That is the same
 * model up to what the branch is called, f or f/p_l, and its expectation in training is the plain branch: so evaluation, the checkpoint that is
 * written, and whoever loads it run the architecture as it is.
 */
export const stochasticDepth = definePlan({
  kind: 'stochastic-depth',
  fields: { rate: shareBelow(1) },
  scales: true,
  create({ rate }, { units, scaled }) {
    if (!scaled) throw new EbbError('drop.kind: stochastic-depth multiplies kept branches, and this program was compiled without that; use ebb train');
    const rates = units.map((_, i) => ((i + 1) / units.length) * rate);
    const scales = new Map(units.map((u, i): [string, number] => [u, 1 / (1 - (rates[i] ?? 0))]));
    return {
      draw({ seed, step, micro }) {
        const random = drawStream(seed, step, micro);
        return { dropped: [], skipped: units.filter((_, i) => random(i) < (rates[i] ?? 0)), scales };
      },
    };
  },
});
