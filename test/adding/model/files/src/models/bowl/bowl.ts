/** @file The Bowl family: Llama's layers, with a norm on each head of q and k before they are turned. */

import { configReader } from '../../formats/hfConfig.ts';
import type { ExpectedTensor } from '../../formats/layout.ts';
import { rope } from '../../trace/nn.ts';
import { selfAttention } from '../attention.ts';
import { preNormLayer, rmsNormDecoder } from '../decoder.ts';
import { type DecoderConfig, decoderFields, readDecoder, writeDecoder } from '../decoderConfig.ts';
import { DECODER_COMPUTED, decoderTensors } from '../decoderTensors.ts';
import { defineFamily } from '../family.ts';
import { gatedMlp } from '../mlp.ts';
import { rmsNormLayer } from '../norms.ts';
import { rotaryAngles } from '../rotary.ts';

interface BowlConfig extends DecoderConfig {
  readonly kind: 'bowl';
}

/** Llama's tensors, and behind q and k the weights of their norms. */
function* tensors(config: BowlConfig): Generator<ExpectedTensor> {
  for (const tensor of decoderTensors(config, { attention: false, mlp: false })) {
    yield tensor;
    const [, projection] = /^(.*\.[qk])_proj\.weight$/.exec(tensor.name) ?? [];
    if (projection !== undefined) yield { name: `${projection}_norm.weight`, shape: [config.headDim], from: 'head_dim' };
  }
}

export const bowl = defineFamily<BowlConfig>({
  kind: 'bowl',
  architectures: ['BowlForCausalLM'],
  readConfig: configReader({
    kind: 'bowl',
    fields: decoderFields,
    read: (raw, where): BowlConfig => readDecoder('bowl', where, raw, { numKvHeads: 4, maxPosition: 1024 }),
  }),
  writeConfig: writeDecoder,
  tensors,
  prefix: 'model.',
  computed: DECODER_COMPUTED,
  build: (config, mode) =>
    rmsNormDecoder(config, mode, (i, stream, sequence) => {
      const { numHeads, numKvHeads, headDim, intermediateSize, rmsNormEps } = config;
      return preNormLayer(i, stream, rmsNormEps, {
        attention: (name, h) => {
          const angles = rotaryAngles({ ...config, width: headDim }, sequence.positions);
          const prepare = (x: typeof h, which: 'q' | 'k') => rope(rmsNormLayer(`${name}.${which}_norm`, x, rmsNormEps), angles);
          return selfAttention(name, h, sequence, { numHeads, numKvHeads, headDim, prepare });
        },
        mlp: (name, h) => gatedMlp(name, h, { intermediateSize }),
      });
    }),
});
