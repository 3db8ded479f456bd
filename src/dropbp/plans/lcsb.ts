/** @file `lcsb`: layers form blocks that take turns (Layer-Cyclic Selective Backpropagation, arXiv 2602.13073). */

import { at, EbbError } from '../../errors.ts';
import { positive } from '../fields.ts';
import { layersOf } from '../layers.ts';
import { defineDropPlan } from './dropPlan.ts';

export const lcsb = defineDropPlan({
  kind: 'lcsb',
  /** Neighbouring layers form `blocks` blocks. In step t only block t mod `blocks` has a backward. */
  fields: { blocks: positive },
  create({ blocks }, { units }) {
    const layers = layersOf(units);
    if (blocks > layers.length) throw new EbbError(`drop.blocks: is ${blocks}, expected at most the model's ${layers.length} layers`);
    const unitsOf = Array.from({ length: blocks }, (_, b) => new Set(layers.filter((_l, i) => Math.floor((i * blocks) / layers.length) === b).flat()));
    return { draw: ({ step }) => ({ dropped: units.filter((u) => !at(unitsOf, step % blocks).has(u)) }) };
  },
});
