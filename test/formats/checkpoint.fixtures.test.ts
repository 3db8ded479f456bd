/** @file Every checkpoint found: Llama and GPT-2 are opened with the tensors the golden file lists, others refused by name. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/formats/checkpoint.ts';
import { openSafetensors, readFloats } from '../../src/formats/safetensors.ts';
import { widen } from '../../src/formats/weights.ts';
import { messageOf, readJson, subfolders, withFixtures } from './fixtureFolder.ts';

const SUPPORTED = ['llama', 'gpt2'];

withFixtures('models', (folder) => {
  const models = subfolders(folder).filter((name) => existsSync(join(folder, name, 'config.json')));

  it('holds checkpoints', () => expect(models.length).toBeGreaterThan(0));

  for (const name of models) {
    const path = join(folder, name);
    const config = readJson(join(path, 'config.json'));
    if (!SUPPORTED.includes(config.model_type)) {
      it(`refuses ${name} naming ${config.model_type}`, () => {
        expect(messageOf(() => openCheckpoint(path))).toContain(`model_type is "${config.model_type}"`);
      });
      continue;
    }

    it(`opens ${name} with the parameters of the reference`, () => {
      const golden = readJson(join(path, 'golden.json'));
      const checkpoint = openCheckpoint(path);
      const shapes = Object.fromEntries([...checkpoint.tensors].map(([key, { shape }]) => [key, shape]));
      expect(shapes).toEqual(golden.params);
      expect(checkpoint.config.kind).toBe(config.model_type);
      expect(checkpoint.config.tieWordEmbeddings).toBe(golden.tied);
      expect(checkpoint.tokenizer().vocabSize).toBeLessThanOrEqual(checkpoint.config.vocabSize);
      for (const source of checkpoint.tensors.values()) {
        const values = widen(source);
        expect(values.length).toBe(source.shape.reduce((a, b) => a * b, 1));
        expect(values.every(Number.isFinite)).toBe(true);
      }
    });
  }
});

withFixtures('quant', (folder) => {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.gguf'))
    .map((name) => name.slice(0, -5));
  for (const name of names) {
    it(`reads ${name}.gguf: configuration, and weights in Hugging Face's row order`, () => {
      const checkpoint = openCheckpoint(join(folder, `${name}.gguf`));
      const golden = readJson(join(folder, `${name}.golden.json`));
      const { config } = checkpoint;
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

      const file = openSafetensors(join(folder, `${name}.golden.safetensors`));
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
