/**
 * @file A transformer that reads characters (bytes below 128) and predicts the next one: learned positions, causal attention, and a head
 * tied to the embedding.
 */

import { add, attention, crossEntropy, defineModel, embedding, gelu, iota, linear, matmul, param, reshape, rmsNorm, section, type Tensor, unit } from 'ebb';

const CHARACTERS = 128;
const CONTEXT = 64;
const WIDTH = 32;
const HEADS = 4;
const LAYERS = 3;

const norm = (name: string, x: Tensor): Tensor => rmsNorm(x, param(`${name}.weight`, [WIDTH], { init: { kind: 'constant', value: 1 } }), 1e-5);

/** Attention: x [B, T, WIDTH] → [B, T, WIDTH]. `documents`, i32 [B, T], gives the document of each token; only tokens of the same document attend to each other. */
function attend(name: string, x: Tensor, documents: Tensor): Tensor {
  const heads = ['B', 'T', HEADS, WIDTH / HEADS] as const;
  const h = norm(`${name}.norm`, x);
  const project = (which: string): Tensor => reshape(linear(`${name}.${which}`, h, { inputs: WIDTH, outputs: WIDTH }), heads);
  const q = project('q');
  const k = project('k');
  const v = project('v');
  const seen = attention(q, k, v, { scale: Math.sqrt(HEADS / WIDTH), causal: true, segments: [documents, documents] });
  return linear(`${name}.out`, reshape(seen, ['B', 'T', WIDTH]), { inputs: WIDTH, outputs: WIDTH });
}

/** The multilayer perceptron, which sees each token on its own: x [B, T, WIDTH] → [B, T, WIDTH]. */
function think(name: string, x: Tensor): Tensor {
  const wide = gelu(linear(`${name}.up`, norm(`${name}.norm`, x), { inputs: WIDTH, outputs: 4 * WIDTH }));
  return linear(`${name}.down`, wide, { inputs: 4 * WIDTH, outputs: WIDTH });
}

export const model = defineModel({
  inputs: {
    tokens: { dtype: 'i32', shape: ['B', 'T'] },
    targets: { dtype: 'i32', shape: ['B', 'T'] },
    segments: { dtype: 'i32', shape: ['B', 'T'] },
  },
  dims: { B: 4, T: CONTEXT },
  build: ({ tokens, targets, segments }) => {
    let x = section('embed', () => {
      const characters = embedding(param('characters', [CHARACTERS, WIDTH]), tokens);
      const places = embedding(param('places', [CONTEXT, WIDTH]), iota(['T'], 0));
      return add(characters, places);
    });
    for (let i = 0; i < LAYERS; i++) {
      x = unit(`layers.${i}.attn`, x, (y) => attend(`layers.${i}.attn`, y, segments));
      x = unit(`layers.${i}.mlp`, x, (y) => think(`layers.${i}.mlp`, y));
    }
    return section('head', () => {
      const logits = matmul(norm('norm', x), param('characters', [CHARACTERS, WIDTH], { tied: true }), true);
      return crossEntropy(logits, targets);
    });
  },
});
