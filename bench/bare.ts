/** @file A Llama of a size and nothing else, trained on counted tokens: for what is measured without a checkpoint. */

import { compileModel } from '../src/compile/compile.ts';
import {
  deviceTraits,
  type Engine,
  newState,
  type OpenedDevice,
  parseConfig,
  parseHfConfig,
  type TracedModel,
  traceCheckpoint,
  train,
  trainingMode,
} from '../src/index.ts';
import { aboutModel, targetOf, trainableModel } from '../src/session.ts';
import { makeBatch } from '../src/train/batches.ts';
import type { StepMetrics, TrainerOptions } from '../src/train/loop.ts';
import { startEngine } from '../src/trainer/engine.ts';
import type { ModelSpec } from './spec.ts';

/** The checkpoint's configuration that a size stands for. */
function configOf({ vocab, dim, heads, layers, ffn, seq }: ModelSpec) {
  const fields = {
    model_type: 'llama',
    vocab_size: vocab,
    hidden_size: dim,
    intermediate_size: ffn,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    max_position_embeddings: Math.max(seq, 2048),
    tie_word_embeddings: false,
  };
  return parseHfConfig('config.json', JSON.stringify(fields)).config;
}

/** Everything trained, at the bounds of its size. */
export function tracedOf(spec: ModelSpec): TracedModel {
  const dims = { B: spec.batch, T: spec.seq };
  return traceCheckpoint({ config: configOf(spec), tensors: new Map() }, { mode: trainingMode(dims.T), dims, lora: null, trains: 'full' });
}

/** Everything trained by AdamW, parameters drawn, the schedules that the device's kind starts with. */
export async function bareEngine(opened: OpenedDevice, spec: ModelSpec): Promise<Engine> {
  const traced = tracedOf(spec);
  const compiled = compileModel(traced, { target: targetOf({ device: opened.device, traits: deviceTraits(opened) }), optimizers: ['adamw'] });
  const about = aboutModel('bare', { kind: 'llama', vocabSize: spec.vocab, maxPosition: null }, traced, null);
  const weights = { path: null, tensors: new Map(), adapter: null };
  return startEngine(opened.device, trainableModel(traced, compiled, about), weights, { micros: 1, optimizer: 'adamw', decay: 'all', seed: 1 });
}

export interface BareRun extends Pick<TrainerOptions, 'engine' | 'ahead' | 'timed'> {
  readonly spec: ModelSpec;
  readonly steps: number;
  /** Drop rate, a pattern of its own each step. */
  readonly rate: number;
  /** Called when a step begins. */
  readonly onStart?: () => void;
  readonly onStep?: (metrics: StepMetrics) => void | Promise<void>;
}

/** Batches until they come again. */
const STREAM = 7;

/** Trains as `ebb train` does. */
export async function bareRun({ spec, steps, rate, onStart, onStep, ...options }: BareRun): Promise<void> {
  const { batch, seq, vocab } = spec;
  const count = batch * seq;
  const stream = Int32Array.from({ length: count * STREAM }, (_, i) => (i * 7 + 3) % vocab);
  const config = parseConfig({ model: 'bare', data: 'bare', seed: 1, drop: { kind: 'uniform', rate } }, 'bare');
  await train({
    ...options,
    config: { ...config, steps },
    state: newState(options.engine),
    batches: {
      at: (step) => {
        onStart?.();
        const ids = stream.slice((step % STREAM) * count, ((step % STREAM) + 1) * count);
        return makeBatch(batch, seq, ids, ids, null, vocab);
      },
    },
    onStep: onStep ?? (() => {}),
  });
}
