/** @file Mistral's configuration, from config.json and from GGUF: its window above all. */

import { bytesSource } from '../../src/formats/bytes.ts';
import { parseGguf } from '../../src/formats/gguf.ts';
import { parseHfConfig, readGgufModel } from '../../src/models/checkpoint.ts';
import { messageOf } from '../formats/fixtureFolder.ts';
import { ggufBytes, tinyLlamaGguf } from '../formats/ggufWriter.ts';

const FIELDS = {
  model_type: 'mistral',
  architectures: ['MistralForCausalLM'],
  vocab_size: 100,
  hidden_size: 64,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 8,
};
const read = (fields: object) => parseHfConfig('config.json', JSON.stringify({ ...FIELDS, ...fields })).config;
const refusal = (fields: object): string => messageOf(() => read(fields));

describe('config.json', () => {
  it("takes transformers' defaults for what is not there: among them a window", () => {
    expect(read({})).toMatchObject({ numKvHeads: 8, headDim: 8, maxPosition: 131072, rmsNormEps: 1e-6, slidingWindow: 4096, tieWordEmbeddings: false });
    expect(read({ num_key_value_heads: null, num_attention_heads: 4 })).toMatchObject({ numKvHeads: 4, headDim: 16 });
    expect(read({ num_key_value_heads: 2, head_dim: 6 })).toMatchObject({ numKvHeads: 2, headDim: 6 });
  });

  it.each([
    [{ sliding_window: null }, null],
    [{ sliding_window: 7 }, 7],
    [{ sliding_window: 7, use_sliding_window: true, layer_types: ['sliding_attention', 'sliding_attention'] }, 7],
    [{ sliding_window: null, use_sliding_window: false, layer_types: ['full_attention', 'full_attention'] }, null],
  ])('%j: the window is %p', (fields, slidingWindow) => {
    expect(read(fields)).toMatchObject({ slidingWindow });
  });

  it.each([
    [{ sliding_window: 0 }, 'sliding_window is 0, expected at least 1'],
    [{ sliding_window: 7, use_sliding_window: false }, 'use_sliding_window is false'],
    [{ use_sliding_window: false }, 'use_sliding_window is false'],
    [{ sliding_window: 7, layer_types: ['sliding_attention', 'full_attention'] }, 'layer_types is "full_attention", expected sliding_attention in every layer'],
    [
      { sliding_window: null, layer_types: ['sliding_attention', 'sliding_attention'] },
      'layer_types is "sliding_attention", expected full_attention in every layer',
    ],
    [{ sliding_window: 7, layer_types: ['sliding_attention'] }, 'layer_types is ["sliding_attention"], expected a list of 2, as num_hidden_layers says'],
    [{ sliding_window: 7, layer_types: [] }, 'layer_types is [], expected a list of 2'],
    [{ sliding_window: 7, max_window_layers: 1 }, 'max_window_layers is 1'],
    [{ attention_bias: true }, 'attention_bias is true, expected no such field in a mistral configuration'],
    [{ num_local_experts: 8 }, 'num_local_experts is 8'],
    [{ num_attention_heads: 12 }, 'num_key_value_heads is 8, expected a divisor of num_attention_heads, which is 12'],
    [{ model_type: 'llama' }, 'architectures is "MistralForCausalLM", expected LlamaForCausalLM for model_type llama'],
  ])('%j is refused', (fields, message) => {
    expect(refusal({ head_dim: 8, ...fields })).toContain(message);
  });
});

describe('GGUF, where a Mistral is called llama', () => {
  const config = (change: Record<string, unknown>) => {
    const input = tinyLlamaGguf();
    const source = bytesSource('t.gguf', ggufBytes({ ...input, metadata: { ...(input.metadata as Record<string, unknown>), ...change } }));
    return readGgufModel(parseGguf(source), source).config;
  };

  it('is one where a window is on, which is used', () => {
    expect(config({ 'llama.attention.sliding_window': 16 })).toMatchObject({ kind: 'mistral', slidingWindow: 16, numLayers: 1, headDim: 4 });
    expect(config({})).toMatchObject({ kind: 'llama' });
    expect(config({ 'llama.attention.sliding_window': 0 })).toMatchObject({ kind: 'llama' });
  });

  it('a key that nothing reads is refused', () => {
    expect(messageOf(() => config({ 'llama.attention.sliding_window': 16, 'llama.attention.sliding_window_pattern': 2 }))).toContain(
      'llama.attention.sliding_window_pattern is 2, which may change what the model computes',
    );
    expect(messageOf(() => config({ 'llama.attention.sliding_window': 1.5 }))).toContain('llama.attention.sliding_window is 1.5');
  });
});
