/** @file MLPs of decoder layers. */

import { linear, type Tensor } from '../trace/nn.ts';
import { type Activation, gated } from './activations.ts';
import { widthOf } from './sizes.ts';

/** Sizes of a gated MLP. */
export interface GatedMlpOptions {
  /** Width between the projections. */
  readonly intermediateSize: number;
  /** What acts on the gate; default `silu`. */
  readonly activation?: Activation;
  /** Biases on all three projections; default none. */
  readonly bias?: boolean;
}

/** down(activation(gate(h)) · up(h)) of h [..., width] → [..., width], by the linear layers `<name>.gate_proj`, `.up_proj` and `.down_proj`. */
export function gatedMlp(name: string, h: Tensor, { intermediateSize, activation = 'silu', bias = false }: GatedMlpOptions): Tensor {
  const width = widthOf(h);
  const gate = linear(`${name}.gate_proj`, h, { inputs: width, outputs: intermediateSize, bias });
  const up = linear(`${name}.up_proj`, h, { inputs: width, outputs: intermediateSize, bias });
  return linear(`${name}.down_proj`, gated(activation, gate, up), { inputs: intermediateSize, outputs: width, bias });
}
