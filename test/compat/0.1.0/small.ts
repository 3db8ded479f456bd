/** @file A small model for `ebb compile`: two residual layers over eight numbers. */

import { defineModel, linear, mseLoss, section, silu, type Tensor, unit } from 'ebb';

const WIDTH = 8;

const branch = (name: string, x: Tensor): Tensor => silu(linear(name, x, { inputs: WIDTH, outputs: WIDTH }));

export const model = defineModel({
  inputs: {
    features: { dtype: 'f32', shape: ['B', WIDTH] },
    target: { dtype: 'f32', shape: ['B', WIDTH] },
  },
  dims: { B: 4 },
  build: ({ features, target }) => {
    let x = section('embed', () => linear('embed', features, { inputs: WIDTH, outputs: WIDTH }));
    for (let i = 0; i < 2; i++) x = unit(`layers.${i}`, x, (y) => branch(`layers.${i}`, y));
    return section('head', () => mseLoss(linear('head', x, { inputs: WIDTH, outputs: WIDTH }), target));
  },
});
