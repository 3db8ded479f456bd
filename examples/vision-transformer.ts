/**
 * @file A vision transformer (Dosovitskiy et al. 2021): it cuts a picture into patches, lets the patches attend to each other, and classifies
 * the picture by their mean.
 */

import {
  add,
  attention,
  broadcastTo,
  constant,
  crossEntropy,
  defineModel,
  gelu,
  layerNorm,
  linear,
  meanOver,
  param,
  patches,
  reshape,
  section,
  type Tensor,
  unit,
} from 'ebb';

const SIZE = 16;
const PATCH = 4;
const PATCHES = (SIZE / PATCH) ** 2;
const COLOURS = 3;
const CLASSES = 10;
const WIDTH = 32;
const HEADS = 2;
const LAYERS = 2;

function norm(name: string, x: Tensor): Tensor {
  const weight = param(`${name}.weight`, [WIDTH], { init: { kind: 'constant', value: 1 } });
  const bias = param(`${name}.bias`, [WIDTH], { init: { kind: 'constant', value: 0 } });
  return layerNorm(x, weight, bias, 1e-6);
}

/** Attention over all patches of a picture: x [B, PATCHES, WIDTH] → [B, PATCHES, WIDTH]. */
function look(name: string, x: Tensor): Tensor {
  const h = norm(`${name}.norm`, x);
  const project = (which: string): Tensor =>
    reshape(linear(`${name}.${which}`, h, { inputs: WIDTH, outputs: WIDTH, bias: true }), ['B', PATCHES, HEADS, WIDTH / HEADS]);
  const picture = broadcastTo(constant(1, 'i32'), ['B', PATCHES]);
  const seen = attention(project('q'), project('k'), project('v'), {
    scale: Math.sqrt(HEADS / WIDTH),
    causal: false,
    segments: [picture, picture],
  });
  return linear(`${name}.out`, reshape(seen, ['B', PATCHES, WIDTH]), { inputs: WIDTH, outputs: WIDTH, bias: true });
}

function think(name: string, x: Tensor): Tensor {
  const wide = gelu(linear(`${name}.up`, norm(`${name}.norm`, x), { inputs: WIDTH, outputs: 4 * WIDTH, bias: true }));
  return linear(`${name}.down`, wide, { inputs: 4 * WIDTH, outputs: WIDTH, bias: true });
}

export const model = defineModel({
  inputs: {
    image: { dtype: 'f32', shape: ['B', SIZE, SIZE, COLOURS] },
    label: { dtype: 'i32', shape: ['B'] },
  },
  dims: { B: 8 },
  build: ({ image, label }) => {
    let x = section('embed', () => {
      const pixels = patches(image, PATCH);
      const content = linear('embed', pixels, { inputs: PATCH * PATCH * COLOURS, outputs: WIDTH, bias: true });
      return add(content, param('places', [PATCHES, WIDTH]));
    });
    for (let i = 0; i < LAYERS; i++) {
      x = unit(`layers.${i}.attn`, x, (y) => look(`layers.${i}.attn`, y));
      x = unit(`layers.${i}.mlp`, x, (y) => think(`layers.${i}.mlp`, y));
    }
    return section('head', () => {
      const whole = reshape(meanOver(norm('norm', x), [1]), ['B', WIDTH]);
      return crossEntropy(linear('head', whole, { inputs: WIDTH, outputs: CLASSES, bias: true }), label);
    });
  },
});
