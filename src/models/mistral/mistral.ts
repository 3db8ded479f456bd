/** @file The Mistral family: Llama's layers, whose attention sees no further back than a window. */

import { configReader, field } from '../../formats/hfConfig.ts';
import { refuseField } from '../../formats/hfConfigFields.ts';
import { readWindow, windowFields } from '../../formats/hfWindow.ts';
import { rope } from '../../trace/nn.ts';
import { selfAttention } from '../attention.ts';
import { preNormLayer, rmsNormDecoder } from '../decoder.ts';
import { type DecoderConfig, decoderFields, readDecoder, readDecoderKeys, writeDecoder } from '../decoderConfig.ts';
import { DECODER_COMPUTED, decoderTensors } from '../decoderTensors.ts';
import { defineFamily } from '../family.ts';
import { gatedMlp } from '../mlp.ts';
import { rotaryAngles } from '../rotary.ts';

/** What a Mistral is made by. */
export interface MistralConfig extends DecoderConfig {
  readonly kind: 'mistral';
  /** How many tokens a token sees at most, itself included; null: all before it, as from Mistral 7B v0.2 on. */
  readonly slidingWindow: number | null;
}

/** Reads the config.json of a Mistral, with the defaults of transformers' MistralConfig. */
const readConfig = configReader({
  kind: 'mistral',
  fields: { ...decoderFields, ...windowFields, sliding_window: field.size.nullish() },
  only: { partial_rotary_factor: 1 },
  read: (raw, where): MistralConfig => {
    // transformers' Mistral does not look at use_sliding_window, so a window beside it would be on there
    if (raw.use_sliding_window === false && raw.sliding_window !== null)
      refuseField(where, 'use_sliding_window', false, 'true or none in a mistral configuration, where sliding_window: null says that there is no window');
    return {
      ...readDecoder('mistral', where, raw, { numKvHeads: 8, maxPosition: 4096 * 32 }),
      slidingWindow: readWindow(where, raw, 4096),
    };
  },
});

/** Mistral 7B, and what is built like it. Called with a configuration and a mode, it gives the model's definition. */
export const mistral = defineFamily<MistralConfig>({
  kind: 'mistral',
  architectures: ['MistralForCausalLM', 'MistralModel'],
  readConfig,
  writeConfig: (config) => ({ ...writeDecoder(config), sliding_window: config.slidingWindow }),
  tensors: (config) => decoderTensors(config, { attention: false, mlp: false }),
  prefix: 'model.',
  computed: DECODER_COMPUTED,
  gguf: {
    // llama.cpp calls a Mistral a llama; a window is what tells them apart
    architecture: 'llama',
    distinct: 'attention.sliding_window',
    read: (keys) => ({ ...readDecoderKeys('mistral', keys), slidingWindow: keys.size('attention.sliding_window') }),
  },
  build: (config, mode) =>
    rmsNormDecoder(config, mode, (i, stream, sequence) => {
      const { numHeads, numKvHeads, headDim, intermediateSize, hiddenAct, slidingWindow } = config;
      return preNormLayer(i, stream, config.rmsNormEps, {
        attention: (name, h) => {
          const angles = rotaryAngles({ ...config, width: headDim }, sequence.positions);
          return selfAttention(name, h, sequence, { numHeads, numKvHeads, headDim, window: slidingWindow, prepare: (x) => rope(x, angles) });
        },
        mlp: (name, h) => gatedMlp(name, h, { intermediateSize, activation: hiddenAct }),
      });
    }),
});
