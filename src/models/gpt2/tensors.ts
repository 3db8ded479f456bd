/** @file The tensors of a GPT-2, under Hugging Face's names. */

import type { ExpectedTensor } from '../../formats/layout.ts';
import type { Gpt2Config } from './config.ts';

/** `<name>.weight` and `<name>.bias` of a LayerNorm. */
function* normTensors(name: string, width: number): Generator<ExpectedTensor> {
  yield { name: `${name}.weight`, shape: [width], from: 'n_embd' };
  yield { name: `${name}.bias`, shape: [width], from: 'n_embd' };
}

/** `<name>.weight` and `<name>.bias` of a Conv1D, whose weight is [inputs, outputs]. */
function* conv1dTensors(name: string, inputs: number, outputs: number, from: string): Generator<ExpectedTensor> {
  yield { name: `${name}.weight`, shape: [inputs, outputs], from };
  yield { name: `${name}.bias`, shape: [outputs], from };
}

/** Every tensor of a GPT-2, in the order in which the model declares them. */
export function* gpt2Tensors(c: Gpt2Config): Generator<ExpectedTensor> {
  const vocabulary = { shape: [c.vocabSize, c.hiddenSize], from: 'vocab_size × n_embd' };
  yield { name: 'transformer.wte.weight', ...vocabulary };
  yield { name: 'transformer.wpe.weight', shape: [c.maxPosition, c.hiddenSize], from: 'n_positions × n_embd' };
  for (let i = 0; i < c.numLayers; i++) {
    const layer = `transformer.h.${i}`;
    yield* normTensors(`${layer}.ln_1`, c.hiddenSize);
    yield* conv1dTensors(`${layer}.attn.c_attn`, c.hiddenSize, 3 * c.hiddenSize, 'n_embd × 3 · n_embd');
    yield* conv1dTensors(`${layer}.attn.c_proj`, c.hiddenSize, c.hiddenSize, 'n_embd × n_embd');
    yield* normTensors(`${layer}.ln_2`, c.hiddenSize);
    yield* conv1dTensors(`${layer}.mlp.c_fc`, c.hiddenSize, c.intermediateSize, 'n_embd × n_inner');
    yield* conv1dTensors(`${layer}.mlp.c_proj`, c.intermediateSize, c.hiddenSize, 'n_inner × n_embd');
  }
  yield* normTensors('transformer.ln_f', c.hiddenSize);
  if (!c.tieWordEmbeddings) yield { name: 'lm_head.weight', ...vocabulary };
}
