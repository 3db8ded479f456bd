/** @file Which tensors a configuration needs, with Hugging Face's names and shapes, and which others may lie beside them. */

import type { Gpt2Config, LlamaConfig, ModelConfig } from '../../formats/hfConfig.ts';

export interface ExpectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** The config.json fields the shape comes from, for errors. */
  readonly from: string;
}

function* llamaTensors(c: LlamaConfig): Generator<ExpectedTensor> {
  const vocabulary = { shape: [c.vocabSize, c.hiddenSize], from: 'vocab_size × hidden_size' };
  const q = c.numHeads * c.headDim;
  const kv = c.numKvHeads * c.headDim;
  yield { name: 'model.embed_tokens.weight', ...vocabulary };
  for (let i = 0; i < c.numLayers; i++) {
    const layer = `model.layers.${i}`;
    const linear = function* (name: string, outputs: number, inputs: number, bias: boolean, from: string): Generator<ExpectedTensor> {
      yield { name: `${layer}.${name}.weight`, shape: [outputs, inputs], from };
      if (bias) yield { name: `${layer}.${name}.bias`, shape: [outputs], from };
    };
    yield { name: `${layer}.input_layernorm.weight`, shape: [c.hiddenSize], from: 'hidden_size' };
    yield* linear('self_attn.q_proj', q, c.hiddenSize, c.attentionBias, 'num_attention_heads · head_dim × hidden_size');
    yield* linear('self_attn.k_proj', kv, c.hiddenSize, c.attentionBias, 'num_key_value_heads · head_dim × hidden_size');
    yield* linear('self_attn.v_proj', kv, c.hiddenSize, c.attentionBias, 'num_key_value_heads · head_dim × hidden_size');
    yield* linear('self_attn.o_proj', c.hiddenSize, q, c.attentionBias, 'hidden_size × num_attention_heads · head_dim');
    yield { name: `${layer}.post_attention_layernorm.weight`, shape: [c.hiddenSize], from: 'hidden_size' };
    yield* linear('mlp.gate_proj', c.intermediateSize, c.hiddenSize, c.mlpBias, 'intermediate_size × hidden_size');
    yield* linear('mlp.up_proj', c.intermediateSize, c.hiddenSize, c.mlpBias, 'intermediate_size × hidden_size');
    yield* linear('mlp.down_proj', c.hiddenSize, c.intermediateSize, c.mlpBias, 'hidden_size × intermediate_size');
  }
  yield { name: 'model.norm.weight', shape: [c.hiddenSize], from: 'hidden_size' };
  if (!c.tieWordEmbeddings) yield { name: 'lm_head.weight', ...vocabulary };
}

function* gpt2Tensors(c: Gpt2Config): Generator<ExpectedTensor> {
  yield { name: 'transformer.wte.weight', shape: [c.vocabSize, c.hiddenSize], from: 'vocab_size × n_embd' };
  yield { name: 'transformer.wpe.weight', shape: [c.maxPosition, c.hiddenSize], from: 'n_positions × n_embd' };
  const norm = function* (name: string): Generator<ExpectedTensor> {
    yield { name: `${name}.weight`, shape: [c.hiddenSize], from: 'n_embd' };
    yield { name: `${name}.bias`, shape: [c.hiddenSize], from: 'n_embd' };
  };
  // Conv1D: the weight is [in, out].
  const conv = function* (name: string, inputs: number, outputs: number, from: string): Generator<ExpectedTensor> {
    yield { name: `${name}.weight`, shape: [inputs, outputs], from };
    yield { name: `${name}.bias`, shape: [outputs], from };
  };
  for (let i = 0; i < c.numLayers; i++) {
    const layer = `transformer.h.${i}`;
    yield* norm(`${layer}.ln_1`);
    yield* conv(`${layer}.attn.c_attn`, c.hiddenSize, 3 * c.hiddenSize, 'n_embd × 3 · n_embd');
    yield* conv(`${layer}.attn.c_proj`, c.hiddenSize, c.hiddenSize, 'n_embd × n_embd');
    yield* norm(`${layer}.ln_2`);
    yield* conv(`${layer}.mlp.c_fc`, c.hiddenSize, c.intermediateSize, 'n_embd × n_inner');
    yield* conv(`${layer}.mlp.c_proj`, c.intermediateSize, c.hiddenSize, 'n_inner × n_embd');
  }
  yield* norm('transformer.ln_f');
  if (!c.tieWordEmbeddings) yield { name: 'lm_head.weight', shape: [c.vocabSize, c.hiddenSize], from: 'vocab_size × n_embd' };
}

/** Every tensor the model needs, one at a time: a configuration with 10^9 layers costs nothing until it is walked. */
export function expectedTensors(config: ModelConfig): Generator<ExpectedTensor> {
  return config.kind === 'llama' ? llamaTensors(config) : gpt2Tensors(config);
}

/** Buffers older versions of transformers saved (masks, rotary frequencies), and a head that is tied: computed, not read. */
const COMPUTED = /(?:^|\.)(?:rotary_emb\.inv_freq|attn\.bias|attn\.masked_bias)$/;

export function isComputed(config: ModelConfig, name: string): boolean {
  return COMPUTED.test(name) || (config.tieWordEmbeddings && name === 'lm_head.weight');
}

/** The names of the CausalLM class, for checkpoints saved from the bare model (without `model.` or `transformer.`). */
export function canonicalName(config: ModelConfig, name: string): string {
  if (name.startsWith('lm_head.')) return name;
  if (config.kind === 'llama') return /^(embed_tokens|layers|norm)\./.test(name) ? `model.${name}` : name;
  return /^(wte|wpe|h|ln_f)\./.test(name) ? `transformer.${name}` : name;
}
