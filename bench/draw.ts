/** @file The benchmark's checkpoints and tokens where there is no numpy: drawn by Ebb, for Ebb alone; the published losses are of other draws. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { hash } from '../src/dropbp/random.ts';
import { expectedTensors } from '../src/formats/checkpointTensors.ts';
import { parseHfConfig } from '../src/formats/hfConfig.ts';
import { writeSafetensors } from '../src/formats/safetensors.ts';
import { initialValues } from '../src/train/init.ts';
import { DATA, modelSpec, SPEC } from './spec.ts';

/** The checkpoint's config.json. */
function configText(name: string): string {
  const { vocab, dim, heads, layers, ffn } = modelSpec(name);
  return JSON.stringify({
    model_type: 'llama',
    vocab_size: vocab,
    hidden_size: dim,
    intermediate_size: ffn,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    rms_norm_eps: SPEC.normEps,
    rope_theta: SPEC.ropeTheta,
    max_position_embeddings: 8192,
    tie_word_embeddings: false,
  });
}

/** Writes for each model what the contestant `ebb` reads: NAME/config.json, NAME/model.safetensors, NAME.tokens.bin. */
export function drawData(): void {
  console.log(`drawing weights and tokens in ${DATA}`);
  for (const name of Object.keys(SPEC.models)) {
    const { vocab, batch, seq } = modelSpec(name);
    const text = configText(name);
    mkdirSync(`${DATA}/${name}`, { recursive: true });
    writeFileSync(`${DATA}/${name}/config.json`, text);
    const tensors = [...expectedTensors(parseHfConfig(`${name}/config.json`, text).config)].map(({ name: tensor, shape }) => {
      const init = shape.length === 1 ? ({ kind: 'constant', value: 1 } as const) : ({ kind: 'normal', std: SPEC.initStd } as const);
      const count = shape.reduce((a, b) => a * b, 1);
      return { name: tensor, dtype: 'F32' as const, shape, data: initialValues(init, count, tensor, SPEC.seed) };
    });
    writeSafetensors(`${DATA}/${name}/model.safetensors`, tensors);
    const tokens = Int32Array.from({ length: batch * (seq + 1) }, (_, i) => hash(SPEC.seed, i) % vocab);
    writeFileSync(`${DATA}/${name}.tokens.bin`, tokens);
  }
}
