/** @file A Llama of a given size, trained on generated tokens, for measurements that need no checkpoint. */

import type { MatmulPrecision } from '../src/codegen/kernel/matmul/work.ts';
import { compileModel } from '../src/compile/compile.ts';
import { type Engine, newState, type OpenedDevice, parseConfig, parseHfConfig, type TracedModel, traceCheckpoint, train, trainingMode } from '../src/index.ts';
import { startEngine } from '../src/run/engine.ts';
import { aboutModel, compileDeviceOf, trainableModel } from '../src/session/session.ts';
import { makeBatch } from '../src/train/batches.ts';
import type { StepMetrics, TrainerOptions } from '../src/train/loop.ts';
import { configText, LORA_ALPHA, type ModelSpec } from './spec.ts';

/** The model of a given size. */
const modelOf = (spec: ModelSpec) => parseHfConfig('config.json', configText(spec)).model;

/** Traces the model at the batch and length of its size. With `lora` above 0, adapters of that rank on all linear layers of the blocks are trained, and otherwise everything. */
export function tracedOf(spec: ModelSpec, lora = 0): TracedModel {
  const dims = { B: spec.batch, T: spec.seq };
  const adapted = lora === 0 ? null : { layers: ['model.layers.*'], rank: lora, alpha: LORA_ALPHA, rslora: false, dropout: 0 };
  const options = { mode: trainingMode(dims.T), dims, lora: adapted, trains: adapted ? 'adapter' : 'full' } as const;
  return traceCheckpoint({ model: modelOf(spec), tensors: new Map() }, options);
}

/** Starts an engine that trains with AdamW, with drawn parameters and the standard schedules of the device's kind. */
export async function bareEngine(opened: Pick<OpenedDevice, 'device'>, spec: ModelSpec, lora = 0, matmulPrecision: MatmulPrecision = 'f32'): Promise<Engine> {
  const traced = tracedOf(spec, lora);
  const compiled = compileModel(traced, { device: compileDeviceOf({ device: opened.device, matmulPrecision }), optimizers: ['adamw'] });
  const about = aboutModel('bare', modelOf(spec), traced, null);
  const weights = { path: null, tensors: new Map(), adapter: null };
  return startEngine(opened.device, trainableModel(traced, compiled, about), weights, { micros: 1, optimizer: 'adamw', decay: 'all', seed: 1 });
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
