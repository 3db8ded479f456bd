/** @file The frame of a decoder: embedding, layers, norm, head. What its layers are, the family says. */

import { param, section, unit } from '../trace/context.ts';
import { embedding, type Tensor } from '../trace/nn.ts';
import type { ModelDefinition } from '../trace/trace.ts';
import type { DecoderConfig } from './decoderConfig.ts';
import { type HeadOptions, languageHead } from './head.ts';
import { type ModelMode, type SequenceInputs, wantedRows } from './inputs.ts';
import { rmsNormLayer } from './norms.ts';

/** The parts of a decoder. */
export interface DecoderParts {
  readonly numLayers: number;
  /** Tokens → the stream [B, T, hiddenSize]. */
  readonly embed: (sequence: SequenceInputs) => Tensor;
  /** The stream after layer `index`, whose residual branches are units. */
  readonly layer: (index: number, stream: Tensor, sequence: SequenceInputs) => Tensor;
  /** The norm between the last layer and the head. */
  readonly norm: (stream: Tensor) => Tensor;
  readonly head: HeadOptions;
}

/** The definition of a decoder for a mode: the loss f32[] for training, else logits [B, T, vocabSize], or [1, 1, vocabSize] of one token. */
export function decoder(mode: ModelMode, { numLayers, embed, layer, norm, head }: DecoderParts): ModelDefinition {
  return {
    inputs: mode.inputs,
    build: (inputs) => {
      const sequence = mode.sequence(inputs);
      let stream = section('embed', () => embed(sequence));
      for (let i = 0; i < numLayers; i++) stream = layer(i, stream, sequence);
      return languageHead(head, () => norm(wantedRows(stream, sequence.last)), sequence.targets);
    },
  };
}

/** What `rmsNormDecoder` reads of a configuration. */
export type RmsNormDecoder = Pick<DecoderConfig, 'vocabSize' | 'hiddenSize' | 'numLayers' | 'rmsNormEps' | 'tieWordEmbeddings' | 'paddingIndex'>;

/** A decoder with the parameters `model.embed_tokens`, `model.norm` and, unless it is the embedding, `lm_head`. */
export function rmsNormDecoder(config: RmsNormDecoder, mode: ModelMode, layer: DecoderParts['layer']): ModelDefinition {
  const { vocabSize, hiddenSize, numLayers, rmsNormEps, paddingIndex, tieWordEmbeddings: tied } = config;
  const table = 'model.embed_tokens.weight';
  return decoder(mode, {
    numLayers,
    embed: ({ tokens }) => embedding(param(table, [vocabSize, hiddenSize]), tokens, { padding: paddingIndex ?? undefined }),
    layer,
    norm: (stream) => rmsNormLayer('model.norm', stream, rmsNormEps),
    head: { name: tied ? table : 'lm_head.weight', tied, vocabSize, hiddenSize },
  });
}

/** The two branches of a layer: what they add to the stream, of its normed values h [B, T, hiddenSize]. */
export interface LayerBranches {
  /** Its parameters begin with `name`, `model.layers.<i>.self_attn`. */
  readonly attention: (name: string, h: Tensor) => Tensor;
  /** Its parameters begin with `name`, `model.layers.<i>.mlp`. */
  readonly mlp: (name: string, h: Tensor) => Tensor;
}

/**
 * Layer `index` of a pre-norm decoder: x + attention(norm(x)), then + mlp(norm(x)), each a unit (`layers.<i>.attn`, `layers.<i>.mlp`). The norms are
 * `input_layernorm` and `post_attention_layernorm`.
 */
export function preNormLayer(index: number, stream: Tensor, eps: number, { attention, mlp }: LayerBranches): Tensor {
  const name = `model.layers.${index}`;
  const y = unit(`layers.${index}.attn`, stream, (x) => attention(`${name}.self_attn`, rmsNormLayer(`${name}.input_layernorm`, x, eps)));
  return unit(`layers.${index}.mlp`, y, (x) => mlp(`${name}.mlp`, rmsNormLayer(`${name}.post_attention_layernorm`, x, eps)));
}
