/** @file Small models for tests, traced without a checkpoint file. Sizes are odd on purpose: nothing may lean on multiples of four. */

import type { DeviceTraits } from '../../src/codegen/kernel/device.ts';
import type { DType } from '../../src/ir/types.ts';
import { type ModelReading, parseHfConfig } from '../../src/models/checkpoint.ts';
import { generationMode, logitsMode, type ModelMode, trainingMode } from '../../src/models/inputs.ts';
import { type LoraOptions, traceCheckpoint } from '../../src/session/session.ts';
import type { TracedModel } from '../../src/trace/trace.ts';

export interface TinyOptions {
  readonly kind?: 'llama' | 'gpt2';
  readonly numLayers?: number;
  readonly hiddenSize?: number;
  readonly headDim?: number;
  readonly intermediateSize?: number;
  readonly vocabSize?: number;
  readonly mode?: 'training' | 'logits' | 'generation';
  readonly lora?: boolean | Partial<Pick<LoraOptions, 'rank' | 'dropout'>>;
  readonly dims?: { readonly B: number; readonly T: number };
  /** Stored dtype of every matrix that is not trained. */
  readonly dtype?: DType;
  readonly tie?: boolean;
  readonly logitsKept?: number;
  readonly scaledBranches?: boolean;
}

export const LORA: LoraOptions = { layers: ['*'], rank: 3, alpha: 6, rslora: false, dropout: 0 };

/** A small model, as its config.json describes it. */
export function tinyReading({
  kind = 'llama',
  numLayers = 2,
  hiddenSize = 12,
  headDim = 6,
  vocabSize = 37,
  tie = true,
  intermediateSize = 2 * hiddenSize + 1,
}: TinyOptions = {}): ModelReading {
  const json =
    kind === 'llama'
      ? {
          model_type: 'llama',
          vocab_size: vocabSize,
          hidden_size: hiddenSize,
          intermediate_size: intermediateSize,
          num_hidden_layers: numLayers,
          num_attention_heads: 4,
          num_key_value_heads: 2,
          head_dim: headDim,
          max_position_embeddings: 64,
          tie_word_embeddings: tie,
        }
      : { model_type: 'gpt2', vocab_size: vocabSize, n_embd: hiddenSize, n_layer: numLayers, n_head: 2, n_positions: 64 };
  return parseHfConfig('config.json', JSON.stringify(json));
}

/** The configuration of a small model. */
export const tinyConfig = (options: TinyOptions = {}): ModelReading['config'] => tinyReading(options).config;

export function tinyModel(options: TinyOptions = {}): TracedModel {
  const { mode = 'training', lora = false, dims = { B: 2, T: 9 }, dtype, scaledBranches = false } = options;
  const modes: Record<string, ModelMode> = { training: trainingMode(dims.T), logits: logitsMode(dims.T), generation: generationMode(dims.T) };
  const tensors = dtype === undefined ? new Map() : new Map(storedMatrices(options).map((name) => [name, { dtype }]));
  return traceCheckpoint({ model: tinyReading(options).model, tensors } as unknown as Parameters<typeof traceCheckpoint>[0], {
    mode: modes[mode] as ModelMode,
    dims,
    logitsKept: options.logitsKept,
    scaledBranches,
    lora: lora === false ? null : { ...LORA, ...(lora === true ? {} : lora) },
    trains: mode === 'training' ? (lora === false ? 'full' : 'adapter') : 'nothing',
  });
}

function storedMatrices(options: TinyOptions): string[] {
  const { dtype: _dtype, ...plain } = options;
  return tinyModel(plain)
    .params.filter((p) => p.shape.length === 2 && !p.trainable && !p.name.includes('lora_'))
    .map((p) => p.name);
}

/** How the CPU adapters are compiled for, without opening one. */
export const CPU_TRAITS: DeviceTraits = { kind: 'lavapipe', subgroups: true, subgroupSize: 8, maxInvocations: 1024, maxWorkgroupStorage: 32768 };
export const CPU_DEVICE = { traits: CPU_TRAITS, maxBuffers: 8 };
