/** @file Training in a page: a device, weights and data as bytes, steps one after the other. Nothing of Node. */

import { EbbError } from '../errors.ts';
import { bytesSource } from '../formats/bytes.ts';
import { assembleBatches, type IntTensor } from '../formats/readyBatches.ts';
import { type EntryHeader, floatsOf, headerBytes, intsOf } from '../formats/safetensorsData.ts';
import { headerEnd, PREFIX, parseSafetensors } from '../formats/safetensorsHeader.ts';
import { checkBounds, checkPositions, checkRestarts, hubSteps, rowSequences, takesSequences, tokenRange, tokenSteps } from '../run/batchFiles.ts';
import { startEngine } from '../run/engine.ts';
import { namedWeights, requireWeights, type Weights } from '../run/startingValue.ts';
import { trainedPieces, writtenDtype } from '../run/trainedPieces.ts';
import type { Device } from '../runtime/device.ts';
import type { Engine } from '../runtime/execute.ts';
import { checkRequirements, type Requirements } from '../runtime/planFile.ts';
import type { InputDecl } from '../runtime/program.ts';
import { openPageDevice } from '../runtime/webgpu/page.ts';
import { type BatchSource, tensorBatches } from '../train/batches.ts';
import { newState, type StepMetrics, type TrainConfig, train } from '../train/loop.ts';
import { adapterFileName } from '../train/model.ts';
import { type LoadedTrainer, loadPackage, type PackageFacts } from './package.ts';

/** A file the person chose. */
export interface NamedBytes {
  /** Its name; the ending says what it holds. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A run in a page: AdamW at a constant rate, gradients clipped to a norm of 1; the defaults of the command line for all else. */
export interface PageRun {
  /** safetensors under the parameters' names, of which a `File` is read piece by piece; without it all parameters are drawn anew. */
  readonly weights?: NamedBytes | File;
  /** Tokens (.bin) or batches as safetensors. */
  readonly data: NamedBytes;
  /** Optimizer steps. */
  readonly steps: number;
  readonly lr: number;
  /** Share of the units that lose their backward in a step, 0 to 1. */
  readonly dropRate: number;
  /** Of the drop patterns, dropout, and drawn parameters. */
  readonly seed: number;
  /** Called for every finished step, in order. */
  readonly onStep?: (metrics: StepMetrics) => void;
  /** Asked after each step; true ends the run early. */
  readonly stop?: () => boolean;
}

/** What a run in a page leaves. */
export interface PageResult {
  /** Loss of each step. */
  readonly losses: readonly number[];
  /** The trained parameters as a safetensors file: a model's, or a PEFT adapter's. */
  readonly trained: { readonly name: string; readonly blob: Blob };
}

const DRAWN: Weights = { path: null, tensors: new Map(), adapter: null };

/** Weights in a file: its header is read now, tensors when they are asked for. @throws EbbError */
async function weightsOf(file: NamedBytes | File): Promise<Weights> {
  const { name } = file;
  const size = file instanceof Blob ? file.size : file.bytes.length;
  const read = async (from: number, length: number): Promise<Uint8Array> =>
    file instanceof Blob ? new Uint8Array(await file.slice(from, from + length).arrayBuffer()) : file.bytes.slice(from, from + length);
  const header = await read(0, headerEnd(name, size, await read(0, PREFIX)));
  const { tensors } = parseSafetensors({ ...bytesSource(name, header), size });
  return namedWeights(name, tensors, ({ byteOffset }, offset, length) => read(byteOffset + offset, length));
}

/** Batches of a file's bytes. @throws EbbError for what does not fit the model, or is larger than it was compiled for */
export function pageBatches({ name, bytes }: NamedBytes, { program, about }: LoadedTrainer, bounds: PackageFacts['bounds']): BatchSource {
  const hints = { batch: 'make the batches smaller', length: 'cut the sequences' };
  if (takesSequences(program.inputs) && name.toLowerCase().endsWith('.bin')) {
    const { B = 1, T = 1 } = bounds;
    return tokenSteps(name, bytes, { batch: B, length: T }, tokenRange(program.inputs, about.vocabSize));
  }
  if (!name.toLowerCase().endsWith('.safetensors')) throw new EbbError(`${name}: expected ${dataKinds(program.inputs)}`);
  const { tensors } = parseSafetensors(bytesSource(name, bytes));
  const part = (tensor: string): { dtype: string; shape: readonly number[]; bytes: Uint8Array } | undefined => {
    const info = tensors.get(tensor);
    return info && { dtype: info.dtype, shape: info.shape, bytes: bytes.slice(info.byteOffset, info.byteOffset + info.byteLength) };
  };
  if (!takesSequences(program.inputs) || !tensors.has('input_ids')) {
    const source = tensorBatches(name, program.inputs, (tensor, dtype) => {
      const found = part(tensor);
      return found && { shape: found.shape, data: (dtype === 'f32' ? floatsOf : intsOf)(`${name}: tensor ${tensor}`, found.dtype, found.bytes) };
    });
    checkBounds(name, source.at(0).sizes, bounds, hints);
    return source;
  }
  const take = (tensor: string): IntTensor | undefined => {
    const found = part(tensor);
    return found && { shape: found.shape, data: intsOf(`${name}: tensor ${tensor}`, found.dtype, found.bytes) };
  };
  const ready = assembleBatches(
    name,
    take,
    [...tensors].map(([tensor, { shape }]) => [tensor, shape] as const),
  );
  if (rowSequences(name, ready)?.restarts === true) checkRestarts(name, { inputs: program.inputs, relativePositions: about.relativePositions });
  checkBounds(name, { B: ready.batch, T: ready.length }, bounds, hints);
  checkPositions(name, ready.length, about.maxPosition, 'cut the sequences');
  return hubSteps(name, ready, tokenRange(program.inputs, about.vocabSize));
}

const dataKinds = (inputs: readonly InputDecl[]): string =>
  takesSequences(inputs) ? 'tokens (.bin) or batches (.safetensors)' : `a .safetensors file with a tensor for each of ${inputs.map((i) => i.name).join(', ')}`;

/** The page's GPU with all that it offers. @throws EbbError where there is none, or it lacks something that the kernels ask for */
export async function pageDevice(requires: Requirements): Promise<Device> {
  const device = await openPageDevice();
  checkRequirements(requires, device.profile);
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

/** What was trained, under the names and in the types that the command line writes; each piece becomes the browser's own, which may keep it on the disk. */
async function trainedFile(
  { program, readPieces }: Pick<Engine, 'program' | 'readPieces'>,
  { about }: LoadedTrainer,
  { tensors }: Pick<Weights, 'tensors'>,
): Promise<PageResult['trained']> {
  const entries: EntryHeader[] = [];
  const data: Blob[] = [];
  for (const [i, { name, shape, trainable }] of program.params.entries()) {
    if (!trainable) continue;
    const dtype = writtenDtype('checkpoint', tensors.get(name)?.dtype);
    entries.push({ name: about.lora ? adapterFileName(name) : name, dtype, shape });
    for await (const piece of trainedPieces(name, readPieces(i), dtype)) data.push(new Blob([piece as ArrayBufferView<ArrayBuffer>]));
  }
  return {
    name: about.lora ? 'adapter_model.safetensors' : 'model.safetensors',
    blob: new Blob([headerBytes(entries, { format: 'pt' }) as Uint8Array<ArrayBuffer>, ...data]),
  };
}

/** Trains a compiled model in the page; the same steps as the command line with the same flags. @throws EbbError */
export async function trainInPage(trainer: PackageFacts, run: PageRun): Promise<PageResult> {
  const loaded = await loadPackage(trainer);
  const batches = pageBatches(run.data, loaded, trainer.bounds);
  const weights = run.weights ? await weightsOf(run.weights) : DRAWN;
  if (loaded.about.lora) requireWeights(loaded.about.name, weights, "choose a safetensors file with the parameters' names");
  const device = await pageDevice(loaded.requires);
  const failed = new Promise<never>((_, reject) => device.onFailure(reject));
  try {
    return await Promise.race([trainOn(device, loaded, weights, batches, run), failed]);
  } finally {
    device.destroy();
  }
}

async function trainOn(device: Device, loaded: LoadedTrainer, weights: Weights, batches: BatchSource, run: PageRun): Promise<PageResult> {
  const engine = await startEngine(device, loaded, weights, { micros: 1, optimizer: 'adamw', decay: 'matrices', seed: run.seed });
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
  return { losses, trained: await trainedFile(engine, loaded, weights) };
}
