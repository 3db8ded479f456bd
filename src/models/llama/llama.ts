/** @file The Llama family as its config.json describes it: RMSNorm, rotary grouped-query attention, gated MLP, optional tied head. */

import type { LlamaConfig } from '../../formats/hfConfig.ts';
import { param, section, unit } from '../../trace/context.ts';
import { named } from '../../trace/naming.ts';
import { attention, embedding, gelu, geluTanh, linear, mul, relu, reshape, rmsNorm, rope, swiglu, type Tensor } from '../../trace/nn.ts';
import type { ModelDefinition } from '../../trace/trace.ts';
import { languageHead } from '../head.ts';
import { keyValueCache, type ModelMode, type SequenceInputs, stepInputs, wantedRows } from '../inputs.ts';
import { rotaryAngles } from '../rotary.ts';
import { sizesOf } from '../sizes.ts';

/** x [B, T, hiddenSize] → [B, T, hiddenSize]: the attention branch of layer `name`, before the residual add. */
function attentionBranch(config: LlamaConfig, name: string, x: Tensor, { segments, keySegments, cache, positions }: SequenceInputs): Tensor {
  const { hiddenSize, numHeads, numKvHeads, headDim, attentionBias: bias } = config;
  const h = rmsNorm(x, param(`${name}.input_layernorm.weight`, [hiddenSize], ONES), config.rmsNormEps);
  const [batch, tokens] = sizesOf(x, 3);
  const project = (which: string, heads: number): Tensor =>
    reshape(linear(`${name}.self_attn.${which}_proj`, h, { inputs: hiddenSize, outputs: heads * headDim, bias }), [batch, tokens, heads, headDim]);
  const angles = rotaryAngles(config, positions);
  const q = named('q', rope(project('q', numHeads), angles));
  const k = keyValueCache(cache, `${name}.k`, named('k', rope(project('k', numKvHeads), angles)));
  const v = keyValueCache(cache, `${name}.v`, named('v', project('v', numKvHeads)));
  const o = attention(q, k, v, { scale: 1 / Math.sqrt(headDim), causal: true, segments: [segments, keySegments] });
  return linear(`${name}.self_attn.o_proj`, reshape(o, [batch, tokens, numHeads * headDim]), { inputs: numHeads * headDim, outputs: hiddenSize, bias });
}

const GATES = {
  silu: swiglu,
  gelu: (gate: Tensor, up: Tensor): Tensor => mul(gelu(gate), up),
  gelu_pytorch_tanh: (gate: Tensor, up: Tensor): Tensor => mul(geluTanh(gate), up),
  gelu_new: (gate: Tensor, up: Tensor): Tensor => mul(geluTanh(gate), up),
  relu: (gate: Tensor, up: Tensor): Tensor => mul(relu(gate), up),
} satisfies Record<LlamaConfig['hiddenAct'], (gate: Tensor, up: Tensor) => Tensor>;

/** x [B, T, hiddenSize] → the gated MLP branch of layer `name`, before the residual add. */
function mlpBranch(config: LlamaConfig, name: string, x: Tensor): Tensor {
  const { hiddenSize, intermediateSize, mlpBias: bias } = config;
  const h = rmsNorm(x, param(`${name}.post_attention_layernorm.weight`, [hiddenSize], ONES), config.rmsNormEps);
  const gate = linear(`${name}.mlp.gate_proj`, h, { inputs: hiddenSize, outputs: intermediateSize, bias });
  const up = linear(`${name}.mlp.up_proj`, h, { inputs: hiddenSize, outputs: intermediateSize, bias });
  return linear(`${name}.mlp.down_proj`, GATES[config.hiddenAct](gate, up), { inputs: intermediateSize, outputs: hiddenSize, bias });
}

const ONES = { init: { kind: 'constant', value: 1 } } as const;

/** The model for training (loss), for logits, or for generation with a key-value cache. */
export function llama(config: LlamaConfig, mode: ModelMode): ModelDefinition {
  const { vocabSize, hiddenSize, numLayers } = config;
  return {
    inputs: stepInputs(mode),
    build: (inputs) => {
      const sequence = mode.sequence(inputs);
      let x = section('embed', () =>
        embedding(param('model.embed_tokens.weight', [vocabSize, hiddenSize]), sequence.tokens, { padding: config.paddingIndex ?? undefined }),
      );
      for (let i = 0; i < numLayers; i++) {
        const name = `model.layers.${i}`;
        x = unit(`layers.${i}.attn`, x, (y) => attentionBranch(config, name, y, sequence));
        x = unit(`layers.${i}.mlp`, x, (y) => mlpBranch(config, name, y));
      }
      const tied = config.tieWordEmbeddings;
      return languageHead(
        { name: tied ? 'model.embed_tokens.weight' : 'lm_head.weight', tied, vocabSize, hiddenSize },
        () => rmsNorm(wantedRows(x, sequence.last), param('model.norm.weight', [hiddenSize], ONES), config.rmsNormEps),
        sequence.targets,
      );
    },
  };
}
