/** @file Training in a page: a device, weights and data as bytes, steps one after the other. Nothing of Node. */

import { EbbError } from '../errors.ts';
import { bytesSource } from '../formats/bytes.ts';
import { i32FromBytes } from '../formats/floats.ts';
import { assembleBatches } from '../formats/readyBatches.ts';
import { floatsOf, headerBytes, intsOf, type SafetensorsEntry } from '../formats/safetensorsData.ts';
import { parseSafetensors } from '../formats/safetensorsHeader.ts';
import type { Engine } from '../runtime/execute.ts';
import { checkRequirements, type Requirements } from '../runtime/plan.ts';
import { type BatchSource, makeBatch, readyBatches, tensorBatches, tokenStream } from '../train/batches.ts';
import { newState, type StepMetrics, type TrainConfig, train } from '../train/loop.ts';
import { startEngine } from './engine.ts';
import { type LoadedTrainer, loadPackage, type TrainerPackage } from './package.ts';
import { namedWeights, type Weights } from './startingValue.ts';

/** A file the person chose. */
export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface PageRun {
  /** safetensors under the parameters' names; without it all parameters are drawn anew. */
  readonly weights?: NamedBytes;
  /** Tokens (.bin) or batches as safetensors. */
  readonly data: NamedBytes;
  readonly steps: number;
  readonly lr: number;
  readonly dropRate: number;
  readonly seed: number;
  readonly onStep?: (metrics: StepMetrics) => void;
  readonly stop?: () => boolean;
}

export interface PageResult {
  readonly losses: readonly number[];
  /** The trained parameters as a safetensors file. */
  readonly trained: Blob;
}

const DRAWN: Weights = { path: null, tensors: new Map(), adapter: null };

function weightsOf({ name, bytes }: NamedBytes): Weights {
  const { tensors } = parseSafetensors(bytesSource(name, bytes));
  return namedWeights(name, tensors, (tensor) => {
    const { byteOffset = 0, byteLength = 0 } = tensors.get(tensor) ?? {};
    return bytes.slice(byteOffset, byteOffset + byteLength);
  });
}

/** Batches of a file's bytes. @throws EbbError for what does not fit the model */
export function pageBatches({ name, bytes }: NamedBytes, { program, about }: LoadedTrainer, bounds: TrainerPackage['bounds']): BatchSource {
  const { B = 1, T = 1 } = bounds;
  if (name.toLowerCase().endsWith('.bin')) return tokenStream(name, i32FromBytes(bytes), B, T, about.vocabSize);
  const { tensors } = parseSafetensors(bytesSource(name, bytes));
  const part = (tensor: string): { dtype: string; shape: readonly number[]; bytes: Uint8Array } | undefined => {
    const info = tensors.get(tensor);
    return info && { dtype: info.dtype, shape: info.shape, bytes: bytes.slice(info.byteOffset, info.byteOffset + info.byteLength) };
  };
  if (!tensors.has('input_ids'))
    return tensorBatches(name, program.inputs, (tensor, dtype) => {
      const found = part(tensor);
      return found && { shape: found.shape, data: (dtype === 'f32' ? floatsOf : intsOf)(`${name}: tensor ${tensor}`, found.dtype, found.bytes) };
    });
  const ready = assembleBatches(name, (tensor) => {
    const found = part(tensor);
    return found && { shape: found.shape, data: intsOf(`${name}: tensor ${tensor}`, found.dtype, found.bytes) };
  });
  const { labels } = ready;
  if (!labels) throw new EbbError(`${name}: labels are missing, expected them beside input_ids, of the same shape`);
  const size = ready.batch * ready.length;
  return readyBatches(ready.steps, (step) => {
    const own = (data: Int32Array): Int32Array => data.slice(step * size, (step + 1) * size);
    const mask = ready.attentionMask ? own(ready.attentionMask) : null;
    return makeBatch(ready.batch, ready.length, own(ready.inputIds), own(labels), mask, about.vocabSize ?? Number.MAX_SAFE_INTEGER);
  });
}

/** The page's GPU, as the kernels ask for it. @throws EbbError where there is none, or it lacks something */
export async function pageDevice(requires: Requirements): Promise<GPUDevice> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new EbbError('this browser offers no WebGPU adapter; use a browser with WebGPU, over https or on localhost');
  const limits = Object.fromEntries(
    Object.entries(requires.limits).map(([name, least]) => [name, Math.max(least, Number(adapter.limits[name as keyof GPUSupportedLimits]))]),
  );
  const requiredFeatures = requires.features.filter((f) => adapter.features.has(f as GPUFeatureName)) as GPUFeatureName[];
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits: limits });
  const { subgroupMinSize, subgroupMaxSize } = adapter.info;
  checkRequirements(requires, device, subgroupMinSize === subgroupMaxSize ? (subgroupMinSize ?? null) : null);
  return device;
}

function configOf({ steps, lr, dropRate, seed }: PageRun): TrainConfig {
  return {
    steps,
    seed,
    accumulate: 1,
    clip: 1,
    missingGrad: 'skip',
    allDropped: 'backward',
    schedule: 'constant',
    warmupSteps: 0,
    drop: dropRate > 0 ? { kind: 'uniform', rate: dropRate } : { kind: 'none' },
    optimizer: { name: 'adamw', lr, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01 },
  };
}

async function trainedBlob(engine: Engine): Promise<Blob> {
  const entries: (SafetensorsEntry & { readonly data: Float32Array<ArrayBuffer> })[] = [];
  for (const [i, p] of engine.program.params.entries())
    if (p.trainable) entries.push({ name: p.name, dtype: 'F32', shape: p.shape, data: (await engine.readParam(i)) as Float32Array<ArrayBuffer> });
  return new Blob([headerBytes(entries, { format: 'pt' }) as Uint8Array<ArrayBuffer>, ...entries.map((e) => e.data)]);
}

/** Trains a compiled model in the page; the same steps as the command line with the same flags. @throws EbbError */
export async function trainInPage(trainer: TrainerPackage, run: PageRun): Promise<PageResult> {
  const loaded = await loadPackage(trainer);
  const batches = pageBatches(run.data, loaded, trainer.bounds);
  const device = await pageDevice(loaded.requires);
  const engine = await startEngine(device, loaded, run.weights ? weightsOf(run.weights) : DRAWN, {
    micros: 1,
    optimizer: 'adamw',
    decay: 'matrices',
    seed: run.seed,
  });
  const losses: number[] = [];
  await train({
    engine,
    config: configOf(run),
    batches,
    state: newState(engine),
    onStep: (metrics) => {
      losses.push(metrics.loss);
      run.onStep?.(metrics);
    },
    ...(run.stop ? { stop: run.stop } : {}),
  });
  const trained = await trainedBlob(engine);
  engine.destroy();
  device.destroy();
  return { losses, trained };
}
