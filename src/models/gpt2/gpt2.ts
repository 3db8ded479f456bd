/** @file GPT-2: learned positions, LayerNorm, q, k and v of one projection as Conv1D ([in, out]), a plain MLP, a tied head. */

import { param, scalar, unit } from '../../trace/context.ts';
import { named } from '../../trace/naming.ts';
import { add, embedding, linear, positionsOf, reshape, slice, type Tensor } from '../../trace/nn.ts';
import { activations } from '../activations.ts';
import { causalAttention } from '../attention.ts';
import { decoder } from '../decoder.ts';
import { defineFamily } from '../family.ts';
import type { SequenceInputs } from '../inputs.ts';
import { layerNormLayer } from '../norms.ts';
import { sizesOf } from '../sizes.ts';
import { type Gpt2Config, readGpt2, writeGpt2 } from './config.ts';
import { gpt2Tensors } from './tensors.ts';

/** A linear layer as Conv1D has it: its weight is [inputs, outputs]. */
const conv1d = (name: string, x: Tensor, inputs: number, outputs: number): Tensor => linear(name, x, { inputs, outputs, bias: true, layout: 'in,out' });

/** x [B, T, hiddenSize] → what the attention of layer `name` adds to it. */
function attentionBranch(config: Gpt2Config, name: string, x: Tensor, sequence: SequenceInputs): Tensor {
  const { hiddenSize, numHeads, headDim } = config;
  const [batch, tokens] = sizesOf(x, 3);
  const qkv = conv1d(`${name}.attn.c_attn`, layerNormLayer(`${name}.ln_1`, x, config.layerNormEps), hiddenSize, 3 * hiddenSize);
  const part = (index: number): Tensor => reshape(slice(qkv, 2, index * hiddenSize, hiddenSize), [batch, tokens, numHeads, headDim]);
  const [q, k, v] = [named('q', part(0)), named('k', part(1)), named('v', part(2))];
  const o = causalAttention(name, { q, k, v }, sequence, { scale: config.attentionScale });
  return conv1d(`${name}.attn.c_proj`, reshape(o, [batch, tokens, hiddenSize]), hiddenSize, hiddenSize);
}

/** x [B, T, hiddenSize] → what the MLP of layer `name` adds to it. */
function mlpBranch(config: Gpt2Config, name: string, x: Tensor): Tensor {
  const { hiddenSize, intermediateSize, hiddenAct } = config;
  const h = conv1d(`${name}.mlp.c_fc`, layerNormLayer(`${name}.ln_2`, x, config.layerNormEps), hiddenSize, intermediateSize);
  return conv1d(`${name}.mlp.c_proj`, activations[hiddenAct](h), intermediateSize, hiddenSize);
}

/** The rows of tokens and of their positions. */
function embed({ vocabSize, hiddenSize, maxPosition }: Gpt2Config, { tokens, positionIds }: SequenceInputs): Tensor {
  const positions = positionIds ?? positionsOf(tokens, scalar('position', 'i32'));
  return add(
    embedding(param('transformer.wte.weight', [vocabSize, hiddenSize]), tokens),
    embedding(param('transformer.wpe.weight', [maxPosition, hiddenSize]), positions),
  );
}

/** GPT-2. Called with a configuration and a mode, it gives the model's definition. */
export const gpt2 = defineFamily<Gpt2Config>({
  kind: 'gpt2',
  architectures: ['GPT2LMHeadModel', 'GPT2Model'],
  readConfig: readGpt2,
  writeConfig: writeGpt2,
  tensors: gpt2Tensors,
  prefix: 'transformer.',
  embedding: 'transformer.wte.weight',
  // masks that older versions of transformers saved
  computed: ['attn.bias', 'attn.masked_bias'],
  layersField: 'n_layer',
  learntPositions: true,
  build: (config, mode) => {
    const { vocabSize, hiddenSize, numLayers, layerNormEps, tieWordEmbeddings: tied } = config;
    return decoder(mode, {
      numLayers,
      embed: (sequence) => embed(config, sequence),
      layer: (i, stream, sequence) => {
        const name = `transformer.h.${i}`;
        const y = unit(`layers.${i}.attn`, stream, (x) => attentionBranch(config, name, x, sequence));
        return unit(`layers.${i}.mlp`, y, (x) => mlpBranch(config, name, x));
      },
      norm: (stream) => layerNormLayer('transformer.ln_f', stream, layerNormEps),
      head: { name: tied ? 'transformer.wte.weight' : 'lm_head.weight', tied, vocabSize, hiddenSize },
    });
  },
});
