/** @file `layerdrop`: layers are left out of forward too (Fan, Grave & Joulin 2019, arXiv 1909.11556). */

import { share } from '../fields.ts';
import { layersOf } from '../layers.ts';
import { drawStream } from '../random.ts';
import { definePlan } from './plan.ts';

/**
 * For comparison with DropBP: each layer, all of its units together, is skipped with `rate`, on its own. What is left is not rescaled,
 * in training or afterwards, as in the paper; evaluation runs every layer. The loss of a step is that of a smaller model.
 */
export const layerdrop = definePlan({
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
