/** @file A family that Ebb does not know, as somebody else would add it: out of what the package exports, in one file. */

import {
  configReader,
  decoder,
  defineFamily,
  type ExpectedTensor,
  embedding,
  field,
  gatedMlp,
  type ModelConfig,
  param,
  readTokens,
  rmsNormLayer,
  selfAttention,
  tokenFields,
  unit,
  writeTokens,
} from '../../../src/index.ts';

interface ToyConfig extends ModelConfig {
  readonly kind: 'toy';
  readonly numHeads: number;
  readonly slope: number;
}

function* toyTensors({ vocabSize, hiddenSize, numLayers }: ToyConfig): Generator<ExpectedTensor> {
  yield { name: 'toy.table.weight', shape: [vocabSize, hiddenSize], from: 'words × width' };
  for (let i = 0; i < numLayers; i++) {
    const at = `toy.blocks.${i}`;
    yield { name: `${at}.norm.weight`, shape: [hiddenSize], from: 'width' };
    for (const which of 'qkvo') yield { name: `${at}.look.${which}_proj.weight`, shape: [hiddenSize, hiddenSize], from: 'width × width' };
    for (const which of ['gate', 'up']) yield { name: `${at}.think.${which}_proj.weight`, shape: [2 * hiddenSize, hiddenSize], from: '2 · width × width' };
    yield { name: `${at}.think.down_proj.weight`, shape: [hiddenSize, 2 * hiddenSize], from: 'width × 2 · width' };
  }
  yield { name: 'toy.last.weight', shape: [hiddenSize], from: 'width' };
  yield { name: 'answer.weight', shape: [vocabSize, hiddenSize], from: 'words × width' };
}

export const toy = defineFamily<ToyConfig>({
  kind: 'toy',
  architectures: ['ToyForCausalLM'],
  readConfig: configReader({
    kind: 'toy',
    fields: {
      words: field.size,
      width: field.size,
      blocks: field.layers,
      heads: field.size,
      room: field.size,
      slope: field.positive.nullish(),
      ...tokenFields,
    },
    only: { colour: 'red' },
    read: (raw) => ({
      kind: 'toy',
      vocabSize: raw.words,
      hiddenSize: raw.width,
      numLayers: raw.blocks,
      numHeads: raw.heads,
      maxPosition: raw.room,
      slope: raw.slope ?? 1e-5,
      tieWordEmbeddings: false,
      ...readTokens(raw),
    }),
  }),
  writeConfig: (c) => ({
    words: c.vocabSize,
    width: c.hiddenSize,
    blocks: c.numLayers,
    heads: c.numHeads,
    room: c.maxPosition,
    slope: c.slope,
    ...writeTokens(c),
  }),
  tensors: toyTensors,
  prefix: 'toy.',
  head: 'answer.weight',
  layersField: 'blocks',
  build: (c, mode) =>
    decoder(mode, {
      numLayers: c.numLayers,
      embed: ({ tokens }) => embedding(param('toy.table.weight', [c.vocabSize, c.hiddenSize]), tokens),
      layer: (i, x, sequence) => {
        const at = `toy.blocks.${i}`;
        const heads = { numHeads: c.numHeads, numKvHeads: c.numHeads, headDim: c.hiddenSize / c.numHeads };
        const y = unit(`blocks.${i}.look`, x, (h) => selfAttention(`${at}.look`, rmsNormLayer(`${at}.norm`, h, c.slope), sequence, heads));
        return unit(`blocks.${i}.think`, y, (h) => gatedMlp(`${at}.think`, h, { intermediateSize: 2 * c.hiddenSize }));
      },
      norm: (x) => rmsNormLayer('toy.last', x, c.slope),
      head: { name: 'answer.weight', tied: false, vocabSize: c.vocabSize, hiddenSize: c.hiddenSize },
    }),
});
