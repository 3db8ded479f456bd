/** @file The Llama family: RMSNorm, rotary grouped-query attention, a gated MLP, a head that may be the embedding. */

import { rope } from '../../trace/nn.ts';
import { selfAttention } from '../attention.ts';
import { preNormLayer, rmsNormDecoder } from '../decoder.ts';
import { readDecoderKeys } from '../decoderConfig.ts';
import { DECODER_COMPUTED, decoderTensors } from '../decoderTensors.ts';
import { defineFamily } from '../family.ts';
import { gatedMlp } from '../mlp.ts';
import { rotaryAngles } from '../rotary.ts';
import { type LlamaConfig, readLlama, writeLlama } from './config.ts';

/** Llama, and what is built like it (SmolLM, TinyLlama). Called with a configuration and a mode, it gives the model's definition. */
export const llama = defineFamily<LlamaConfig>({
  kind: 'llama',
  architectures: ['LlamaForCausalLM', 'LlamaModel'],
  readConfig: readLlama,
  writeConfig: writeLlama,
  tensors: (config) => decoderTensors(config, { attention: config.attentionBias, mlp: config.mlpBias }),
  prefix: 'model.',
  computed: DECODER_COMPUTED,
  gguf: {
    architecture: 'llama',
    read: (keys) => ({
      ...readDecoderKeys('llama', keys),
      attentionBias: keys.gguf.tensors.has('blk.0.attn_q.bias'),
      mlpBias: keys.gguf.tensors.has('blk.0.ffn_gate.bias'),
    }),
  },
  build: (config, mode) =>
    rmsNormDecoder(config, mode, (i, stream, sequence) => {
      const { numHeads, numKvHeads, headDim, intermediateSize, hiddenAct, attentionBias, mlpBias } = config;
      return preNormLayer(i, stream, config.rmsNormEps, {
        attention: (name, h) => {
          const angles = rotaryAngles({ ...config, width: headDim }, sequence.positions);
          return selfAttention(name, h, sequence, { numHeads, numKvHeads, headDim, bias: attentionBias, prepare: (x) => rope(x, angles) });
        },
        mlp: (name, h) => gatedMlp(name, h, { intermediateSize, activation: hiddenAct, bias: mlpBias }),
      });
    }),
});
