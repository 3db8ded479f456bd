/** @file The functions between the projections of an MLP, by the names that config.json gives them. */

import { gelu, geluTanh, mul, relu, silu, swiglu, type Tensor } from '../trace/nn.ts';

/** Elementwise functions by their names in transformers. */
export const activations = { silu, gelu_new: geluTanh, gelu, gelu_pytorch_tanh: geluTanh, relu } satisfies Record<string, (x: Tensor) => Tensor>;

/** The name of an elementwise function in transformers. */
export type Activation = keyof typeof activations;

/** activation(gate) · up, elementwise; gate and up of one shape. */
export function gated(activation: Activation, gate: Tensor, up: Tensor): Tensor {
  return activation === 'silu' ? swiglu(gate, up) : mul(activations[activation](gate), up);
}
