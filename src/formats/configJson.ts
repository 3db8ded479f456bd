/** @file A model configuration as Hugging Face's config.json, for models that came out of a GGUF file. */

import type { ModelConfig } from '../formats/hfConfig.ts';

export function configJson(config: ModelConfig): Record<string, unknown> {
  if (config.kind === 'gpt2') {
    return {
      architectures: ['GPT2LMHeadModel'],
      model_type: 'gpt2',
      vocab_size: config.vocabSize,
      n_embd: config.hiddenSize,
      n_layer: config.numLayers,
      n_head: config.numHeads,
      n_inner: config.intermediateSize,
      n_positions: config.maxPosition,
      layer_norm_epsilon: config.layerNormEps,
      activation_function: config.hiddenAct,
      tie_word_embeddings: config.tieWordEmbeddings,
      bos_token_id: config.bosTokenId,
      eos_token_id: config.eosTokenIds[0] ?? null,
    };
  }
  const scaling = config.ropeScaling;
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.numLayers,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.numKvHeads,
    head_dim: config.headDim,
    hidden_act: config.hiddenAct,
    max_position_embeddings: config.maxPosition,
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.ropeTheta,
    rope_scaling:
      scaling === null
        ? null
        : scaling.type === 'linear'
          ? { rope_type: 'linear', factor: scaling.factor }
          : {
              rope_type: 'llama3',
              factor: scaling.factor,
              low_freq_factor: scaling.lowFreqFactor,
              high_freq_factor: scaling.highFreqFactor,
              original_max_position_embeddings: scaling.originalMaxPosition,
            },
    attention_bias: config.attentionBias,
    mlp_bias: config.mlpBias,
    tie_word_embeddings: config.tieWordEmbeddings,
    bos_token_id: config.bosTokenId,
    eos_token_id: config.eosTokenIds[0] ?? null,
    pad_token_id: config.paddingIndex ?? null,
    dtype: 'float32',
  };
}
