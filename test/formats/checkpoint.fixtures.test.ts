/** @file Every checkpoint found is opened with the tensors the golden file lists, or refused by name. */

import { join } from 'node:path';
import { openSafetensors, readFloats } from '../../src/formats/safetensors.ts';
import { widen } from '../../src/formats/weights.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import type { DecoderConfig } from '../../src/models/decoderConfig.ts';
import { openTokenizer } from '../../src/tokenizer/open.ts';
import { checkpointsIn, ggufsIn, goldenOf, refuseOthers, supportedOf } from '../support/fixtureModels.ts';
import { readJson, withFixtures } from './fixtureFolder.ts';

withFixtures('models', (folder) => {
  const models = checkpointsIn(folder);
  refuseOthers(models);
  for (const { name, path, type } of supportedOf(models)) {
    it(`opens ${name} with the parameters of the reference`, async () => {
      const golden = readJson(join(path, 'golden.json'));
      const checkpoint = openCheckpoint(path);
      const shapes = Object.fromEntries([...checkpoint.tensors].map(([key, { shape }]) => [key, shape]));
      expect(shapes).toEqual(golden.params);
      expect(checkpoint.config.kind).toBe(type);
      expect(checkpoint.config.tieWordEmbeddings).toBe(golden.tied);
      expect((await openTokenizer(path)).vocabSize).toBeLessThanOrEqual(checkpoint.config.vocabSize);
      for (const source of checkpoint.tensors.values()) {
        const values = widen(source);
        expect(values.length).toBe(source.shape.reduce((a, b) => a * b, 1));
        expect(values.every(Number.isFinite)).toBe(true);
      }
    });
  }
});

withFixtures('quant', (folder) => {
  const models = ggufsIn(folder);
  refuseOthers(models);
  for (const model of supportedOf(models)) {
    it(`reads ${model.name}: configuration, and weights in Hugging Face's row order`, () => {
      const checkpoint = openCheckpoint(model.path);
      const golden = readJson(goldenOf(model).json);
      const config = checkpoint.config as DecoderConfig;
      expect({
        vocab_size: config.vocabSize,
        hidden_size: config.hiddenSize,
        intermediate_size: config.intermediateSize,
        num_hidden_layers: config.numLayers,
        num_attention_heads: config.numHeads,
        max_position_embeddings: config.maxPosition,
        tie_word_embeddings: config.tieWordEmbeddings,
      }).toEqual(
        Object.fromEntries(
          Object.entries(golden.config).filter(([key]) =>
            /^(vocab_size|hidden_size|intermediate_size|num_hidden_layers|num_attention_heads|max_position_embeddings|tie_word_embeddings)$/.test(key),
          ),
        ),
      );

      const file = openSafetensors(goldenOf(model).tensors);
      let compared = 0;
      for (const key of file.tensors.keys()) {
        const [, layer, part] = /^hf\.layers\.(\d+)\.(\w+)$/.exec(key) ?? [];
        if (part === undefined) continue;
        const source = [...checkpoint.tensors.values()].find((s) => s.name.startsWith(`model.layers.${layer}.`) && s.name.endsWith(`.${part}.weight`));
        expect(source).toBeDefined();
        expect(Buffer.from(widen(source!).buffer).equals(Buffer.from(readFloats(file, key).slice().buffer))).toBe(true);
        compared++;
      }
      expect(compared).toBeGreaterThan(0);
    });
  }
});
