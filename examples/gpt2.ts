/** @file A small GPT-2 of the library: learned positions, LayerNorm, GELU, and a head tied to the embedding. */

import { defineModel, gpt2, trainingMode } from 'ebb';

const CONTEXT = 64;

export const model = defineModel({
  ...gpt2(
    {
      kind: 'gpt2',
      vocabSize: 256,
      hiddenSize: 32,
      intermediateSize: 128,
      numLayers: 2,
      numHeads: 4,
      headDim: 8,
      maxPosition: CONTEXT,
      layerNormEps: 1e-5,
      tieWordEmbeddings: true,
      hiddenAct: 'gelu_new',
      attentionScale: 1 / Math.sqrt(8),
      bosTokenId: null,
      eosTokenIds: [],
    },
    trainingMode(CONTEXT),
  ),
  dims: { B: 4, T: CONTEXT },
});
