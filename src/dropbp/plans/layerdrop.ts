/** @file `layerdrop`: layers are left out of forward too (Fan, Grave & Joulin 2019, arXiv 1909.11556). */

import { share } from '../fields.ts';
import { layersOf } from '../layers.ts';
import { drawStream } from '../random.ts';
import { defineDropPlan } from './dropPlan.ts';

/**
 * For comparison with DropBP: each layer, with all of its units, is skipped with the probability `rate`, independently of the others. As in
 * the paper, what is left is not rescaled, in training or afterwards, and evaluation runs every layer. So the loss of a step is that of a
 * smaller model.
 */
export const layerdrop = defineDropPlan({
  kind: 'layerdrop',
  fields: { rate: share },
  create({ rate }, { units }) {
    const layers = layersOf(units);
    return {
      draw({ seed, step, micro }) {
        const random = drawStream(seed, step, micro);
        return { dropped: [], skipped: layers.filter((_, i) => random(i) < rate).flat() };
      },
    };
  },
});
