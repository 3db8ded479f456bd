/** @file From a checkpoint to something that runs: the model is traced, compiled for a device, and its weights are uploaded. */

import picomatch from 'picomatch';
import type { DeviceTraits } from './codegen/kernel/schedule.ts';
import { type Compiled, compileModel } from './compile/compile.ts';
import { widenOnceFor } from './compile/functions.ts';
import { EbbError } from './errors.ts';
import { type Checkpoint, openCheckpoint, type WeightSource, widen } from './formats/checkpoint.ts';
import type { ModelConfig } from './formats/hfConfig.ts';
import type { DType } from './ir/types.ts';
import { gpt2 } from './models/gpt2.ts';
import type { ModelMode } from './models/inputs.ts';
import { llama } from './models/llama.ts';
import { createEngine, type Engine } from './runtime/execute.ts';
import type { AdapterSpec } from './trace/context.ts';
import { type ModelDefinition, type TracedModel, traceModel } from './trace/trace.ts';
import { initialValues } from './train/init.ts';

/** A device as the compiler and the runtime see it. */
export interface SessionDevice {
  readonly device: GPUDevice;
  readonly traits: DeviceTraits;
}

/** Low-rank adapters: which layers, and how. */
export interface LoraOptions {
  /** Globs over layer names; layers that match none stay as they are. */
  readonly layers: readonly string[];
  readonly rank: number;
  readonly alpha: number;
  readonly rslora: boolean;
  readonly dropout: number;
  /** Layers of an existing adapter, with their own ranks and scales; `layers`, `rank` and `alpha` are not asked then. */
  readonly existing?: ReadonlyMap<string, { readonly rank: number; readonly scale: number }>;
}

export interface ModelOptions {
  readonly mode: ModelMode;
  /** Bounds of the run-time dimensions. */
  readonly dims: Readonly<Record<string, number>>;
  readonly lora: LoraOptions | null;
  /** What is trained: everything, the adapter alone, or nothing. */
  readonly trains: 'full' | 'adapter' | 'nothing';
}

export function modelDefinition(config: ModelConfig, mode: ModelMode): ModelDefinition {
  return config.kind === 'llama' ? llama(config, mode) : gpt2(config, mode);
}

/** Scale of an adapter's product: alpha/rank, or alpha/√rank with rsLoRA (Kalajdzievski 2023). */
export function loraScale(lora: Pick<LoraOptions, 'alpha' | 'rank' | 'rslora'>): number {
  return lora.alpha / (lora.rslora ? Math.sqrt(lora.rank) : lora.rank);
}

function adapterRule(lora: LoraOptions | null): ((layer: string) => AdapterSpec | undefined) | undefined {
  if (!lora) return undefined;
  const { existing } = lora;
  if (existing) {
    return (layer) => {
      const found = existing.get(layer);
      return found && { ...found, dropout: lora.dropout };
    };
  }
  const matches = picomatch([...lora.layers], { dot: true });
  return (layer) => (matches(layer) ? { rank: lora.rank, scale: loraScale(lora), dropout: lora.dropout } : undefined);
}

export const isAdapterParam = (name: string): boolean => /\.lora_[AB]\.weight$/.test(name);

/** Traces a checkpoint's model. @throws EbbError when an adapter's globs match no layer */
export function traceCheckpoint(checkpoint: Pick<Checkpoint, 'config' | 'tensors'>, options: ModelOptions): TracedModel {
  const { lora, trains } = options;
  const adapter = adapterRule(lora);
  const stored = (name: string): DType => (checkpoint.tensors.get(name)?.dtype ?? 'f32') as DType;
  const model = traceModel(modelDefinition(checkpoint.config, options.mode), {
    dims: options.dims,
    storage: (name) => {
      const trainable = trains === 'full' ? !isAdapterParam(name) : trains === 'adapter' && isAdapterParam(name);
      return { dtype: trainable || isAdapterParam(name) ? 'f32' : stored(name), trainable };
    },
    ...(adapter ? { adapter } : {}),
  });
  if (lora && !model.params.some((p) => isAdapterParam(p.name)))
    throw new EbbError(`lora.layers: ${lora.layers.join(', ')} matches no linear layer of the model; names look like ${sampleLayer(checkpoint.config)}`);
  return model;
}

function sampleLayer(config: ModelConfig): string {
  return config.kind === 'llama' ? 'model.layers.0.self_attn.q_proj' : 'transformer.h.0.attn.c_attn';
}

export interface Session {
  readonly checkpoint: Checkpoint;
  readonly traced: TracedModel;
  readonly compiled: Compiled;
  readonly engine: Engine;
  /** Milliseconds of tracing and compiling, and of the driver. */
  readonly timing: { readonly compileMs: number; readonly driverMs: number };
}

export interface SessionOptions extends ModelOptions {
  readonly micros: number;
  readonly optimizer: 'adamw' | 'sgd' | 'none';
  readonly decay: 'matrices' | 'all';
  readonly seed: number;
  /** Adapter weights by parameter name; those missing start anew. */
  readonly adapterWeights?: ReadonlyMap<string, Float32Array>;
}

/** Opens a checkpoint and makes it run on a device. */
export async function openSession(path: string, { device, traits }: SessionDevice, options: SessionOptions): Promise<Session> {
  const checkpoint = openCheckpoint(path);
  const started = performance.now();
  const traced = traceCheckpoint(checkpoint, options);
  const compiled = compileModel(traced, {
    target: {
      device: traits,
      maxBuffers: device.limits.maxStorageBuffersPerShaderStage,
      widenOnce: widenOnceFor(traits),
      maxBinding: device.limits.maxStorageBufferBindingSize,
    },
    ...(options.optimizer === 'none' ? {} : { optimizers: [options.optimizer] }),
  });
  const compiledAt = performance.now();
  const decays = (i: number): boolean => options.decay === 'all' || (traced.params[i]?.shape.length ?? 0) >= 2;
  const engine = await createEngine(device, compiled.program, { micros: options.micros, decays, optimizer: options.optimizer });
  const driverMs = performance.now() - compiledAt;
  traced.params.forEach((p, i) => engine.writeParam(i, startingValue(p, checkpoint.tensors, options)));
  return { checkpoint, traced, compiled, engine, timing: { compileMs: compiledAt - started, driverMs } };
}

/** What a parameter holds before training: its table, the adapter's weight, the checkpoint's tensor, or a drawn start for a new adapter. */
export function startingValue(
  p: TracedModel['params'][number],
  tensors: ReadonlyMap<string, WeightSource>,
  { adapterWeights, seed }: Pick<SessionOptions, 'adapterWeights' | 'seed'>,
): ArrayBufferView {
  if (p.table) return p.table();
  const count = p.shape.reduce((a, b) => a * b, 1);
  const own = adapterWeights?.get(p.name);
  if (own) return own;
  const source = tensors.get(p.name);
  if (!source) {
    if (isAdapterParam(p.name)) return initialValues(p.init, count, p.name, seed);
    throw new EbbError(`the checkpoint has no tensor ${p.name} [${p.shape.join(', ')}], which its config asks for`);
  }
  return p.dtype === 'f32' ? widen(source) : source.read();
}
