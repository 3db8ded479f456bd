/** @file `lisa`: a few layers for a period, then others (Layerwise Importance Sampled AdamW, arXiv 2403.17919). */

import { EbbError } from '../../errors.ts';
import { positive, withDefault } from '../fields.ts';
import { layersOf } from '../layers.ts';
import { permutation } from '../random.ts';
import { definePlan } from './plan.ts';

/**
 * Every `period` steps, `layers` layers are drawn, all alike likely; they alone have a backward, the trunk always. LISA freezes the
 * weights of the others and still sends the gradient through their branches; here it takes the residual path past them, as in DropBP.
 */
export const lisa = definePlan({
  kind: 'lisa',
  fields: { layers: withDefault(positive, 2), period: withDefault(positive, 20) },
  create({ layers: count, period }, { units }) {
    const layers = layersOf(units);
    if (count > layers.length) throw new EbbError(`drop.layers: is ${count}, expected at most the model's ${layers.length} layers`);
    return {
      draw({ seed, step }) {
        const order = permutation(layers.length, seed, 5, Math.floor(step / period));
        return { dropped: units.filter((u) => !order.slice(0, count).some((l) => layers[l]?.includes(u))) };
      },
    };
  },
});
