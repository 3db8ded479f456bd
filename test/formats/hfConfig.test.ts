/** @file config.json in both styles, and what is refused by name. */

import { parseHfConfig } from '../../src/models/checkpoint.ts';
import { messageOf } from './fixtureFolder.ts';

const llama = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  vocab_size: 100,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
};
const gpt2 = { model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], vocab_size: 100, n_embd: 32, n_layer: 2, n_head: 4, n_positions: 64 };
const read = (fields: object) => {
  const { config, notes } = parseHfConfig('config.json', JSON.stringify(fields));
  return { config, notes };
};
const refusal = (fields: object): string => messageOf(() => read(fields));

describe('a Llama config.json', () => {
  it("takes transformers' defaults for what is not there", () => {
    expect(read(llama)).toEqual({
      notes: [],
      config: {
        kind: 'llama',
        vocabSize: 100,
        hiddenSize: 32,
        intermediateSize: 64,
        numLayers: 2,
        numHeads: 4,
        numKvHeads: 4,
        headDim: 8,
        rmsNormEps: 1e-6,
        ropeTheta: 10000,
        ropeScaling: null,
        attentionBias: false,
        mlpBias: false,
        tieWordEmbeddings: false,
        maxPosition: 2048,
        bosTokenId: null,
        eosTokenIds: [],
        paddingIndex: null,
        hiddenAct: 'silu',
      },
    });
  });

  it('says the same in the old style and in that of transformers 5', () => {
    const scaling = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 16 };
    const old = read({ ...llama, rope_theta: 500, rope_scaling: scaling, torch_dtype: 'float32' });
    expect(read({ ...llama, rope_parameters: { rope_theta: 500, ...scaling }, dtype: 'float32' })).toEqual(old);
    expect(old.config).toMatchObject({
      ropeTheta: 500,
      ropeScaling: { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition: 16 },
    });
    expect(read({ ...llama, rope_scaling: { type: 'linear', factor: 2 } }).config).toMatchObject({ ropeScaling: { type: 'linear', factor: 2 } });
  });

  it('reads the old spelling of a scaling beside the rope settings of transformers 5', () => {
    const both = { rope_parameters: { rope_theta: 500, rope_type: 'default' }, rope_scaling: { type: 'linear', factor: 2 } };
    expect(read({ ...llama, rope_theta: 500, ...both }).config).toMatchObject({ ropeTheta: 500, ropeScaling: { type: 'linear', factor: 2 } });
  });

  it('reads several end tokens, and a head width of its own', () => {
    expect(read({ ...llama, eos_token_id: [3, 4], head_dim: 6, hidden_size: 30 }).config).toMatchObject({ eosTokenIds: [3, 4], headDim: 6 });
  });

  it.each([
    [{ sliding_window: 4 }, 'sliding_window is 4'],
    [{ pretraining_tp: 2 }, 'pretraining_tp is 2'],
    [{ quantization_config: { quant_method: 'awq' } }, 'quantization_config'],
    [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor is 0.5'],
    [{ rope_parameters: { rope_theta: 1e4, partial_rotary_factor: 0.5 } }, 'partial_rotary_factor is 0.5'],
    [{ layer_types: ['full_attention', 'sliding_attention'] }, 'layer_types is "sliding_attention"'],
    [{ attn_logit_softcapping: 30 }, 'attn_logit_softcapping is 30'],
    [{ embedding_multiplier: 12 }, 'embedding_multiplier is 12'],
    [{ rope_scaling: { type: 'dynamic', factor: 2 } }, 'rope_scaling.rope_type is "dynamic"'],
    [{ rope_scaling: { rope_type: 'llama3', factor: 2 } }, 'rope_scaling.low_freq_factor is missing'],
    [{ rope_scaling: { rope_type: 'linear', factor: 2, beta_fast: 3 } }, 'rope_scaling.beta_fast is 3'],
    [{ rope_scaling: 'linear' }, 'rope_scaling is "linear"'],
    [
      { rope_theta: 500, rope_parameters: { rope_theta: 1e4, rope_type: 'default' } },
      'rope_theta is 500, expected 10000 as in rope_parameters, or none beside it',
    ],
    [
      { rope_theta: null, rope_parameters: { rope_theta: 500 }, rope_scaling: { type: 'linear', factor: 2 } },
      'rope_parameters.rope_theta is 500, expected 10000, since rope_scaling is given and takes its place',
    ],
    [
      { rope_parameters: { rope_type: 'linear', factor: 4 }, rope_scaling: { type: 'linear', factor: 2 } },
      'rope_parameters and rope_scaling scale in two ways',
    ],
    [{ rope_theta: -1 }, 'rope_theta is -1'],
    [{ hidden_act: 'mish' }, 'hidden_act is "mish", expected one of silu'],
    [{ head_dim: 7 }, 'head_dim is 7'],
    [{ num_key_value_heads: 3 }, 'num_key_value_heads is 3'],
    [{ vocab_size: 1.5 }, 'vocab_size is 1.5'],
    [{ num_hidden_layers: '2' }, 'num_hidden_layers is "2"'],
    [{ attention_bias: 'yes' }, 'attention_bias is "yes", expected true or false'],
    [{ architectures: ['LlamaForSequenceClassification'] }, 'architectures is "LlamaForSequenceClassification"'],
    [{ model_type: 'qwen3' }, 'model_type is "qwen3"'],
  ])('refuses %j by name', (change, message) => {
    expect(refusal({ ...llama, ...change })).toContain(message);
  });

  it('says what it leaves unused, and accepts neutral values of what it does not support', () => {
    expect(read({ ...llama, attention_dropout: 0.1 }).notes.join()).toContain('attention_dropout is 0.1');
    expect(
      read({
        ...llama,
        sliding_window: 4,
        use_sliding_window: false,
        pretraining_tp: 1,
        rope_interleaved: false,
        is_llama_config: true,
        pruned_heads: {},
        num_experts: 0,
      }).notes,
    ).toEqual([]);
  });

  it('names everything that is missing', () => {
    const { hidden_size: _, num_attention_heads: __, ...rest } = llama;
    expect(refusal(rest)).toMatch(/hidden_size is missing.*num_attention_heads is missing/);
    expect(refusal({})).toContain('model_type is missing');
  });
});

describe('a GPT-2 config.json', () => {
  it("takes transformers' defaults and the other families' names", () => {
    const expected = {
      kind: 'gpt2',
      vocabSize: 100,
      hiddenSize: 32,
      intermediateSize: 128,
      numLayers: 2,
      numHeads: 4,
      headDim: 8,
      maxPosition: 64,
      layerNormEps: 1e-5,
      tieWordEmbeddings: true,
      hiddenAct: 'gelu_new',
      attentionScale: 1 / Math.sqrt(8),
      bosTokenId: null,
      eosTokenIds: [],
    };
    expect(read(gpt2).config).toEqual(expected);
    const other = { model_type: 'gpt2', vocab_size: 100, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, max_position_embeddings: 64 };
    expect(read(other).config).toEqual(expected);
    expect(read({ ...gpt2, scale_attn_weights: false }).config).toMatchObject({ attentionScale: 1 });
  });

  it("accepts the published gpt2's fields, noting its dropout", () => {
    const published = {
      activation_function: 'gelu_new',
      attn_pdrop: 0.1,
      bos_token_id: 50256,
      embd_pdrop: 0.1,
      eos_token_id: 50256,
      initializer_range: 0.02,
      layer_norm_epsilon: 1e-5,
      n_ctx: 1024,
      resid_pdrop: 0.1,
      summary_activation: null,
      summary_first_dropout: 0.1,
      summary_proj_to_labels: true,
      summary_type: 'cls_index',
      summary_use_proj: true,
      task_specific_params: { 'text-generation': { do_sample: true, max_length: 50 } },
    };
    expect(read({ ...gpt2, ...published }).notes).toHaveLength(3);
  });

  it.each([
    [{ scale_attn_by_inverse_layer_idx: true }, 'scale_attn_by_inverse_layer_idx is true'],
    [{ reorder_and_upcast_attn: true }, 'reorder_and_upcast_attn is true'],
    [{ add_cross_attention: true }, 'add_cross_attention is true'],
    [{ activation_function: 'silu' }, 'activation_function is "silu"'],
    [{ n_head: 5 }, 'n_embd is 32, expected a multiple of n_head'],
    [{ n_layer: 0 }, 'n_layer is 0'],
  ])('refuses %j by name', (change, message) => {
    expect(refusal({ ...gpt2, ...change })).toContain(message);
  });
});
