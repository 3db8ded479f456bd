/** @file Norms with parameters of their own. */

import { param } from '../trace/context.ts';
import { layerNorm, rmsNorm, type Tensor } from '../trace/nn.ts';
import { widthOf } from './sizes.ts';

const ONES = { init: { kind: 'constant', value: 1 } } as const;
const ZEROS = { init: { kind: 'constant', value: 0 } } as const;

/** RMSNorm over the last axis of x, by the parameter `<name>.weight`, which starts at ones. */
export function rmsNormLayer(name: string, x: Tensor, eps: number): Tensor {
  return rmsNorm(x, param(`${name}.weight`, [widthOf(x)], ONES), eps);
}

/** LayerNorm over the last axis of x, by the parameters `<name>.weight`, which starts at ones, and `<name>.bias`, which starts at zeros. */
export function layerNormLayer(name: string, x: Tensor, eps: number): Tensor {
  const width = widthOf(x);
  return layerNorm(x, param(`${name}.weight`, [width], ONES), param(`${name}.bias`, [width], ZEROS), eps);
}
