/**
 * @file A multilayer perceptron with skip connections that learns a function of eight numbers. Each layer is a residual branch, so a step can
 * drop its backward.
 *
 *   npx ebb compile examples/mlp.ts
 */

import { defineModel, layerNorm, linear, mseLoss, param, section, silu, type Tensor, unit } from 'ebb';

const INPUTS = 8;
const WIDTH = 32;
const LAYERS = 4;

/** A layer: normalises x [B, WIDTH], widens it, applies SiLU, and projects it back to [B, WIDTH]. */
function branch(name: string, x: Tensor): Tensor {
  const scale = param(`${name}.norm.weight`, [WIDTH], { init: { kind: 'constant', value: 1 } });
  const shift = param(`${name}.norm.bias`, [WIDTH], { init: { kind: 'constant', value: 0 } });
  const normal = layerNorm(x, scale, shift, 1e-5);
  const wide = silu(linear(`${name}.up`, normal, { inputs: WIDTH, outputs: 2 * WIDTH, bias: true }));
  return linear(`${name}.down`, wide, { inputs: 2 * WIDTH, outputs: WIDTH });
}

export const model = defineModel({
  inputs: {
    features: { dtype: 'f32', shape: ['B', INPUTS] },
    target: { dtype: 'f32', shape: ['B', 1] },
  },
  dims: { B: 32 },
  build: ({ features, target }) => {
    let x = section('embed', () => linear('embed', features, { inputs: INPUTS, outputs: WIDTH, bias: true }));
    for (let i = 0; i < LAYERS; i++) x = unit(`layers.${i}`, x, (y) => branch(`layers.${i}`, y));
    return section('head', () => {
      const prediction = linear('head', x, { inputs: WIDTH, outputs: 1, bias: true });
      return mseLoss(prediction, target);
    });
  },
});
