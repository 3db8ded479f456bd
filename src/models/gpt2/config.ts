/** @file The configuration of a GPT-2, as its config.json says it. */

import { configReader, field, readTokens, tokenFields, writeTokens } from '../../formats/hfConfig.ts';
import type { JsonObject } from '../../formats/json.ts';
import { headWidth } from '../decoderConfig.ts';
import type { ModelConfig } from '../family.ts';

/** What may stand between the two projections of the MLP. */
const ACTIVATIONS = ['gelu_new', 'gelu', 'gelu_pytorch_tanh', 'relu'] as const;

/** What a GPT-2 is made by. */
export interface Gpt2Config extends ModelConfig {
  readonly kind: 'gpt2';
  /** Width between the projections of the MLP. */
  readonly intermediateSize: number;
  readonly numHeads: number;
  /** hiddenSize / numHeads. */
  readonly headDim: number;
  readonly layerNormEps: number;
  readonly hiddenAct: (typeof ACTIVATIONS)[number];
  /** What scores are multiplied by: 1/√headDim, or 1 where scale_attn_weights is false. */
  readonly attentionScale: number;
}

/** Reads the config.json of a GPT-2, with the defaults of transformers' GPT2Config. */
export const readGpt2 = configReader({
  kind: 'gpt2',
  fields: {
    vocab_size: field.size,
    n_embd: field.size,
    n_layer: field.layers,
    n_head: field.size,
    n_positions: field.size,
    n_inner: field.size.nullish(),
    activation_function: field.oneOf(ACTIVATIONS).nullish(),
    layer_norm_epsilon: field.positive.nullish(),
    scale_attn_weights: field.flag.nullish(),
    tie_word_embeddings: field.flag.nullish(),
    ...tokenFields,
  },
  aliases: { hidden_size: 'n_embd', num_hidden_layers: 'n_layer', num_attention_heads: 'n_head', max_position_embeddings: 'n_positions' },
  only: { reorder_and_upcast_attn: false, scale_attn_by_inverse_layer_idx: false },
  read: (raw, where): Gpt2Config => {
    const headDim = headWidth(where, ['n_embd', raw.n_embd], ['n_head', raw.n_head]);
    return {
      kind: 'gpt2',
      vocabSize: raw.vocab_size,
      hiddenSize: raw.n_embd,
      intermediateSize: raw.n_inner ?? 4 * raw.n_embd,
      numLayers: raw.n_layer,
      numHeads: raw.n_head,
      headDim,
      maxPosition: raw.n_positions,
      layerNormEps: raw.layer_norm_epsilon ?? 1e-5,
      tieWordEmbeddings: raw.tie_word_embeddings ?? true,
      hiddenAct: raw.activation_function ?? 'gelu_new',
      attentionScale: (raw.scale_attn_weights ?? true) ? 1 / Math.sqrt(headDim) : 1,
      ...readTokens(raw),
    };
  },
});

/** The fields that `readGpt2` reads back. */
export function writeGpt2(config: Gpt2Config): JsonObject {
  return {
    vocab_size: config.vocabSize,
    n_embd: config.hiddenSize,
    n_layer: config.numLayers,
    n_head: config.numHeads,
    n_inner: config.intermediateSize,
    n_positions: config.maxPosition,
    layer_norm_epsilon: config.layerNormEps,
    activation_function: config.hiddenAct,
    scale_attn_weights: config.attentionScale !== 1,
    tie_word_embeddings: config.tieWordEmbeddings,
    ...writeTokens(config),
  };
}
