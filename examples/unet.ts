/**
 * @file A small diffusion model: a U-Net (Ronneberger et al. 2015) that is given a noisy picture and the amount of noise, and predicts the
 * noise (Ho et al. 2020). Its residual blocks are units, so DropBP applies to it as it does to language models.
 */

import {
  add,
  concat,
  conv2d,
  cos,
  defineModel,
  groupNorm,
  linear,
  mseLoss,
  mul,
  reshape,
  section,
  silu,
  sin,
  spaceToDepth,
  type Tensor,
  unit,
  upsample,
} from 'ebb';

const SIZE = 8;
const COLOURS = 1;
const WIDTH = 16;
const TIME = 8;

/** A residual block with `channels` channels: two convolutions, between which `time` [B, TIME], the amount of noise, is added. */
function block(name: string, x: Tensor, channels: number, time: Tensor): Tensor {
  return unit(name, x, (y) => {
    const first = conv2d(`${name}.first`, silu(groupNorm(`${name}.norm1`, y, 4)), { inputs: channels, outputs: channels });
    const shift = linear(`${name}.time`, time, { inputs: TIME, outputs: channels, bias: true });
    const told = add(first, reshape(shift, ['B', 1, 1, channels]));
    return conv2d(`${name}.second`, silu(groupNorm(`${name}.norm2`, told, 4)), { inputs: channels, outputs: channels });
  });
}

export const model = defineModel({
  inputs: {
    image: { dtype: 'f32', shape: ['B', SIZE, SIZE, COLOURS] },
    noise: { dtype: 'f32', shape: ['B', SIZE, SIZE, COLOURS] },
    /** The amount of noise: 0 is only picture, π/2 is only noise. */
    angle: { dtype: 'f32', shape: ['B'] },
  },
  dims: { B: 4 },
  build: ({ image, noise, angle }) => {
    const [noisy, time] = section('noise', () => {
      const turn = reshape(angle, ['B', 1, 1, 1]);
      const mixed = add(mul(image, cos(turn)), mul(noise, sin(turn)));
      const told = silu(linear('time', reshape(angle, ['B', 1]), { inputs: 1, outputs: TIME, bias: true }));
      return [mixed, told] as const;
    });
    const fine = section('enter', () => conv2d('enter', noisy, { inputs: COLOURS, outputs: WIDTH }));
    const left = block('down.block', fine, WIDTH, time);
    const coarse = section('down', () => linear('down', spaceToDepth(left), { inputs: 4 * WIDTH, outputs: 2 * WIDTH, bias: true }));
    const middle = block('middle.block', coarse, 2 * WIDTH, time);
    const right = section('up', () => {
      const large = upsample(middle);
      return linear('up', concat([large, left], 3), { inputs: 3 * WIDTH, outputs: WIDTH, bias: true });
    });
    const out = block('up.block', right, WIDTH, time);
    return section('head', () => {
      const found = conv2d('head', silu(groupNorm('norm', out, 4)), { inputs: WIDTH, outputs: COLOURS });
      return mseLoss(found, noise);
    });
  },
});
