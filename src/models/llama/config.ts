/** @file The configuration of a Llama, as its config.json says it. */

import { configReader, field } from '../../formats/hfConfig.ts';
import { refuseField } from '../../formats/hfConfigFields.ts';
import { readWindow, windowFields } from '../../formats/hfWindow.ts';
import type { JsonObject } from '../../formats/json.ts';
import { type DecoderConfig, decoderFields, readDecoder, writeDecoder } from '../decoderConfig.ts';

/** What a Llama is made by. */
export interface LlamaConfig extends DecoderConfig {
  readonly kind: 'llama';
  /** Biases on q, k, v and o. */
  readonly attentionBias: boolean;
  /** Biases on gate, up and down. */
  readonly mlpBias: boolean;
}

/** Reads the config.json of a Llama, with the defaults of transformers' LlamaConfig. */
export const readLlama = configReader({
  kind: 'llama',
  fields: { ...decoderFields, ...windowFields, attention_bias: field.flag.nullish(), mlp_bias: field.flag.nullish() },
  only: { partial_rotary_factor: 1, pretraining_tp: 1, rope_interleaved: false, scale_embeddings: false },
  read: (raw, where): LlamaConfig => {
    // transformers' Llama has no window and does not look at the field: a file that sets one means something else
    const window = readWindow(where, raw, null);
    if (window !== null) refuseField(where, 'sliding_window', window, 'null (the attention of a llama has no window)');
    return {
      ...readDecoder('llama', where, raw, { numKvHeads: raw.num_attention_heads, maxPosition: 2048 }),
      attentionBias: raw.attention_bias ?? false,
      mlpBias: raw.mlp_bias ?? false,
    };
  },
});

/** The fields that `readLlama` reads back. */
export function writeLlama(config: LlamaConfig): JsonObject {
  return { ...writeDecoder(config), attention_bias: config.attentionBias, mlp_bias: config.mlpBias };
}
