/** @file A Llama of a given size, trained on generated tokens, for measurements that need no checkpoint. */

import type { MatmulPrecision } from '../src/codegen/kernel/matmul/work.ts';
import {
  type Engine,
  type ModelReading,
  makeBatch,
  newState,
  type OpenedDevice,
  openSession,
  parseConfig,
  parseHfConfig,
  type SessionOptions,
  type StepMetrics,
  type TracedModel,
  type TrainerOptions,
  traceCheckpoint,
  train,
  trainingMode,
} from '../src/index.ts';
import { configText, LORA_ALPHA, type ModelSpec } from './spec.ts';

/** The model of a given size, which has no weights. */
const modelOf = (spec: ModelSpec): ModelReading => parseHfConfig('config.json', configText(spec));

/** How a model is traced at the batch and length of its size, and trained with AdamW. With `lora` above 0, adapters of that rank on all linear layers of the blocks are trained, and otherwise everything. */
export function sessionOptions({ batch, seq }: ModelSpec, lora: number): SessionOptions {
  return {
    mode: trainingMode(seq),
    dims: { B: batch, T: seq },
    lora: lora === 0 ? null : { layers: ['model.layers.*'], rank: lora, alpha: LORA_ALPHA, rslora: false, dropout: 0 },
    trains: lora === 0 ? 'full' : 'adapter',
    micros: 1,
    optimizer: 'adamw',
    decay: 'all',
    seed: 1,
  };
}

/** Traces the model as `bareEngine` does. */
export const tracedOf = (spec: ModelSpec): TracedModel => traceCheckpoint({ model: modelOf(spec).model, tensors: new Map() }, sessionOptions(spec, 0));

/** Starts an engine that trains with AdamW, with drawn parameters and the standard schedules of the device's kind. */
export async function bareEngine(
  { device }: Pick<OpenedDevice, 'device'>,
  spec: ModelSpec,
  lora = 0,
  matmulPrecision: MatmulPrecision = 'f32',
): Promise<Engine> {
  return (await openSession(modelOf(spec), { device, matmulPrecision }, sessionOptions(spec, lora))).engine;
}

/** A run of a bare model. */
export interface BareRun extends Pick<TrainerOptions, 'engine' | 'ahead' | 'timed'> {
  readonly spec: ModelSpec;
  readonly steps: number;
  /** The drop rate. Each step draws a pattern. */
  readonly rate: number;
  /** Called when a step begins. */
  readonly onStart?: () => void;
  readonly onStep?: (metrics: StepMetrics) => void | Promise<void>;
}

/** After this many batches the data repeats. */
const STREAM = 7;

/** Trains the model as `ebb train` does. */
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
