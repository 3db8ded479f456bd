/** @file `lisa`: a few layers are trained for a period, then others (Layerwise Importance Sampled AdamW, arXiv 2403.17919). */

import { at, EbbError } from '../../errors.ts';
import { positive, withDefault } from '../fields.ts';
import { layersOf } from '../layers.ts';
import { permutation } from '../random.ts';
import { defineDropPlan } from './dropPlan.ts';

/** First counter of the random numbers that layers are drawn by. */
const LAYER_DRAWS = 5;

/**
 * Every `period` steps it draws `layers` layers, each with the same probability. Only they have a backward; the trunk always has one. LISA
 * freezes the weights of the other layers but still sends the gradient through their branches. Here the gradient takes the residual path
 * past them, as in DropBP.
 */
export const lisa = defineDropPlan({
  kind: 'lisa',
  fields: { layers: withDefault(positive, 2), period: withDefault(positive, 20) },
  create({ layers: count, period }, { units }) {
    const layers = layersOf(units);
    if (count > layers.length) throw new EbbError(`drop.layers: is ${count}, expected at most the model's ${layers.length} layers`);
    return {
      draw({ seed, step }) {
        const order = permutation(layers.length, seed, LAYER_DRAWS, Math.floor(step / period));
        const kept = new Set(order.slice(0, count).flatMap((layer) => at(layers, layer)));
        return { dropped: units.filter((u) => !kept.has(u)) };
      },
    };
  },
});
