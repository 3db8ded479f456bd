/** @file `lcsb`: layers in blocks that take turns (Layer-Cyclic Selective Backpropagation, arXiv 2602.13073). */

import { EbbError } from '../../errors.ts';
import { positive } from '../fields.ts';
import { layersOf } from '../layers.ts';
import { definePlan } from './plan.ts';

export const lcsb = definePlan({
  kind: 'lcsb',
  /** Neighbouring layers form `blocks` blocks; in step t block t mod `blocks` alone has a backward. */
  fields: { blocks: positive },
  create({ blocks }, { units }) {
    const layers = layersOf(units);
    if (blocks > layers.length) throw new EbbError(`drop.blocks: is ${blocks}, expected at most the model's ${layers.length} layers`);
    const parts = Array.from({ length: blocks }, (_, b) => new Set(layers.filter((_l, i) => Math.floor((i * blocks) / layers.length) === b).flat()));
    return { draw: ({ step }) => ({ dropped: units.filter((u) => !parts[step % blocks]?.has(u)) }) };
  },
});
