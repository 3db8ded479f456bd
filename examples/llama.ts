/** @file A small Llama of the library: rotary positions, grouped-query attention, gated MLP. Any config.json of the family fits. */

import { defineModel, llama, trainingMode } from 'ebb';

const CONTEXT = 64;

export const model = defineModel({
  ...llama(
    {
      kind: 'llama',
      vocabSize: 256,
      hiddenSize: 32,
      intermediateSize: 88,
      numLayers: 2,
      numHeads: 4,
      numKvHeads: 2,
      headDim: 8,
      rmsNormEps: 1e-5,
      ropeTheta: 10_000,
      ropeScaling: null,
      attentionBias: false,
      mlpBias: false,
      tieWordEmbeddings: true,
      maxPosition: CONTEXT,
      bosTokenId: null,
      eosTokenIds: [],
      hiddenAct: 'silu',
    },
    trainingMode(CONTEXT),
  ),
  dims: { B: 4, T: CONTEXT },
});
