/** @file The tensors of decoders whose layers are called as Llama's, with their places in GGUF files: rows of which families compose their own. */

import type { ExpectedTensor } from '../formats/layout.ts';
import type { AttentionBias } from './attention.ts';
import type { DecoderConfig } from './decoderConfig.ts';

/** A linear layer among the tensors. */
export interface LinearTensor {
  readonly outputs: number;
  readonly inputs: number;
  readonly bias: boolean;
  /** The fields of config.json behind the sizes, for errors. */
  readonly from: string;
  /** Its GGUF name, without `.weight`. */
  readonly gguf: string;
  /** See `GgufPlace`. */
  readonly pairedHeads?: number;
}

/** `<name>.weight` [outputs, inputs] and `<name>.bias` [outputs]. */
export function* linearTensors(name: string, { outputs, inputs, bias, from, gguf, pairedHeads }: LinearTensor): Generator<ExpectedTensor> {
  const place = (part: string) => ({ name: `${gguf}.${part}`, ...(pairedHeads === undefined ? {} : { pairedHeads }) });
  yield { name: `${name}.weight`, shape: [outputs, inputs], from, gguf: place('weight') };
  if (bias) yield { name: `${name}.bias`, shape: [outputs], from, gguf: place('bias') };
}

/** Which projections of a layer have biases. */
export interface DecoderBiases {
  readonly attention: AttentionBias;
  readonly mlp: boolean;
}

/** Layer `i`: norm, q, k, v and o, norm, gate, up and down. */
function* layerTensors(c: DecoderConfig, i: number, biases: DecoderBiases): Generator<ExpectedTensor> {
  const [layer, block] = [`model.layers.${i}`, `blk.${i}`];
  const q = { rows: c.numHeads * c.headDim, from: 'num_attention_heads · head_dim' };
  const kv = { rows: c.numKvHeads * c.headDim, from: 'num_key_value_heads · head_dim' };
  const project = (which: string, { rows, from }: typeof q, gguf: string, pairedHeads?: number): Generator<ExpectedTensor> =>
    linearTensors(`${layer}.self_attn.${which}_proj`, {
      outputs: rows,
      inputs: c.hiddenSize,
      bias: biases.attention !== false,
      from: `${from} × hidden_size`,
      gguf: `${block}.${gguf}`,
      ...(pairedHeads === undefined ? {} : { pairedHeads }),
    });
  const wide = { outputs: c.intermediateSize, inputs: c.hiddenSize, bias: biases.mlp, from: 'intermediate_size × hidden_size' };
  yield { name: `${layer}.input_layernorm.weight`, shape: [c.hiddenSize], from: 'hidden_size', gguf: { name: `${block}.attn_norm.weight` } };
  yield* project('q', q, 'attn_q', c.numHeads);
  yield* project('k', kv, 'attn_k', c.numKvHeads);
  yield* project('v', kv, 'attn_v');
  yield* linearTensors(`${layer}.self_attn.o_proj`, {
    outputs: c.hiddenSize,
    inputs: q.rows,
    bias: biases.attention === true,
    from: `hidden_size × ${q.from}`,
    gguf: `${block}.attn_output`,
  });
  yield { name: `${layer}.post_attention_layernorm.weight`, shape: [c.hiddenSize], from: 'hidden_size', gguf: { name: `${block}.ffn_norm.weight` } };
  yield* linearTensors(`${layer}.mlp.gate_proj`, { ...wide, gguf: `${block}.ffn_gate` });
  yield* linearTensors(`${layer}.mlp.up_proj`, { ...wide, gguf: `${block}.ffn_up` });
  yield* linearTensors(`${layer}.mlp.down_proj`, {
    outputs: c.hiddenSize,
    inputs: c.intermediateSize,
    bias: biases.mlp,
    from: 'hidden_size × intermediate_size',
    gguf: `${block}.ffn_down`,
  });
}

/** Embedding, layers, norm, and the head where it is not tied: every tensor of a decoder as Llama has them, in the order in which it declares them. */
export function* decoderTensors(config: DecoderConfig, biases: DecoderBiases): Generator<ExpectedTensor> {
  const vocabulary = { shape: [config.vocabSize, config.hiddenSize], from: 'vocab_size × hidden_size' };
  yield { name: 'model.embed_tokens.weight', ...vocabulary, gguf: { name: 'token_embd.weight' } };
  for (let i = 0; i < config.numLayers; i++) yield* layerTensors(config, i, biases);
  yield { name: 'model.norm.weight', shape: [config.hiddenSize], from: 'hidden_size', gguf: { name: 'output_norm.weight' } };
  if (!config.tieWordEmbeddings) yield { name: 'lm_head.weight', ...vocabulary, gguf: { name: 'output.weight' } };
}

/** Names, or ends of names, of what files of such decoders hold beside their tensors: frequencies of rotary embeddings, which are computed. */
export const DECODER_COMPUTED: readonly string[] = ['rotary_emb.inv_freq', 'rope_freqs.weight', 'attn_rot_embd'];
