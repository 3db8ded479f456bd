/** @file GPT-2 as its config.json describes it: learned positions, LayerNorm, fused qkv as Conv1D ([in, out]), GELU MLP, tied head. */

import type { Gpt2Config } from '../../formats/hfConfig.ts';
import { param, scalar, section, unit } from '../../trace/context.ts';
import { named } from '../../trace/naming.ts';
import { add, attention, embedding, gelu, geluTanh, layerNorm, linear, positionsOf, relu, reshape, slice, type Tensor } from '../../trace/nn.ts';
import type { ModelDefinition } from '../../trace/trace.ts';
import { languageHead } from '../head.ts';
import { keyValueCache, type ModelMode, type SequenceInputs, stepInputs, wantedRows } from '../inputs.ts';
import { sizesOf } from '../sizes.ts';

const ACTIVATIONS = { gelu_new: geluTanh, gelu_pytorch_tanh: geluTanh, gelu, relu } satisfies Record<Gpt2Config['hiddenAct'], (x: Tensor) => Tensor>;

function norm(config: Gpt2Config, name: string, x: Tensor): Tensor {
  const weight = param(`${name}.weight`, [config.hiddenSize], { init: { kind: 'constant', value: 1 } });
  return layerNorm(x, weight, param(`${name}.bias`, [config.hiddenSize], { init: { kind: 'constant', value: 0 } }), config.layerNormEps);
}

/** x [B, T, hiddenSize] → the attention branch of layer `name`, before the residual add. */
function attentionBranch(config: Gpt2Config, name: string, x: Tensor, { segments, keySegments, cache }: SequenceInputs): Tensor {
  const { hiddenSize, numHeads, headDim } = config;
  const [batch, tokens] = sizesOf(x, 3);
  const qkv = linear(`${name}.attn.c_attn`, norm(config, `${name}.ln_1`, x), { inputs: hiddenSize, outputs: 3 * hiddenSize, bias: true, layout: 'in,out' });
  const part = (index: number): Tensor => reshape(slice(qkv, 2, index * hiddenSize, hiddenSize), [batch, tokens, numHeads, headDim]);
  const q = named('q', part(0));
  const k = keyValueCache(cache, `${name}.k`, named('k', part(1)));
  const v = keyValueCache(cache, `${name}.v`, named('v', part(2)));
  const o = attention(q, k, v, { scale: config.attentionScale, causal: true, segments: [segments, keySegments] });
  return linear(`${name}.attn.c_proj`, reshape(o, [batch, tokens, hiddenSize]), { inputs: hiddenSize, outputs: hiddenSize, bias: true, layout: 'in,out' });
}

/** x [B, T, hiddenSize] → the MLP branch of layer `name`, before the residual add. */
function mlpBranch(config: Gpt2Config, name: string, x: Tensor): Tensor {
  const { hiddenSize, intermediateSize } = config;
  const h = linear(`${name}.mlp.c_fc`, norm(config, `${name}.ln_2`, x), { inputs: hiddenSize, outputs: intermediateSize, bias: true, layout: 'in,out' });
  return linear(`${name}.mlp.c_proj`, ACTIVATIONS[config.hiddenAct](h), { inputs: intermediateSize, outputs: hiddenSize, bias: true, layout: 'in,out' });
}

/** The model for training (loss), for logits, or for generation with a key-value cache. */
export function gpt2(config: Gpt2Config, mode: ModelMode): ModelDefinition {
  const { vocabSize, hiddenSize, numLayers, maxPosition } = config;
  return {
    inputs: stepInputs(mode),
    build: (inputs) => {
      const sequence = mode.sequence(inputs);
      let x = section('embed', () => {
        const positions = positionsOf(sequence.tokens, scalar('position', 'i32'));
        return add(
          embedding(param('transformer.wte.weight', [vocabSize, hiddenSize]), sequence.tokens),
          embedding(param('transformer.wpe.weight', [maxPosition, hiddenSize]), positions),
        );
      });
      for (let i = 0; i < numLayers; i++) {
        const name = `transformer.h.${i}`;
        x = unit(`layers.${i}.attn`, x, (y) => attentionBranch(config, name, y, sequence));
        x = unit(`layers.${i}.mlp`, x, (y) => mlpBranch(config, name, y));
      }
      const tied = config.tieWordEmbeddings;
      return languageHead(
        { name: tied ? 'transformer.wte.weight' : 'lm_head.weight', tied, vocabSize, hiddenSize },
        () => norm(config, 'transformer.ln_f', wantedRows(x, sequence.last)),
        sequence.targets,
      );
    },
  };
}
