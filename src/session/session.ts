/** @file From a checkpoint to something that runs: the model is traced, compiled for a device, and its weights are uploaded. */

import picomatch from 'picomatch';
import { type Compiled, compileModel } from '../compile/compile.ts';
import { extentOf } from '../compile/slots.ts';
import { EbbError, option } from '../errors.ts';
import type { GgufPlace } from '../formats/layout.ts';
import { targetModulesFor } from '../formats/peft.ts';
import { type DType, isDType, type Type } from '../ir/types.ts';
import { type Checkpoint, type ModelDescription, type ModelReading, openCheckpoint } from '../models/checkpoint.ts';
import type { Model } from '../models/family.ts';
import type { ModelMode } from '../models/inputs.ts';
import { checkAdapter, type LoadedAdapter } from '../run/adapter.ts';
import { type StartOptions, startEngine } from '../run/engine.ts';
import { checkpointWeights, NO_WEIGHTS } from '../run/weights.ts';
import type { Engine } from '../runtime/execute.ts';
import type { AdapterAbout, CheckpointAbout, ModelAbout } from '../runtime/planFile.ts';
import type { InputDecl } from '../runtime/program.ts';
import type { AdapterSpec, TraceOptions } from '../trace/context.ts';
import { type TracedModel, traceModel } from '../trace/trace.ts';
import { adaptedLayer, isAdapterParam, loraScale, type TrainableModel } from '../train/model.ts';
import { compileDeviceOf, type SessionDevice } from './sessionDevice.ts';
import { tuneModel, withSchedules } from './tune.ts';

/** Low-rank adapters: which layers, and how. */
export interface LoraOptions {
  /** Globs over layer names; layers that match none stay as they are. */
  readonly layers: readonly string[];
  readonly rank: number;
  readonly alpha: number;
  readonly rslora: boolean;
  readonly dropout: number;
  /** An adapter that is there already: its layers with their own ranks and scales (`layers` is not asked then), and its weights. */
  readonly existing?: LoadedAdapter & { /** The flag or key that names it. */ readonly key: string };
}

/** The options for an adapter that exists and is trained further, or run. @param key the flag or key that names it, for errors */
export function loraOf(adapter: LoadedAdapter, key = option('adapter')): LoraOptions {
  const { rank, alpha, rslora, dropout } = adapter.settings;
  return { rank, alpha, rslora, dropout, layers: ['*'], existing: { ...adapter, key } };
}

export interface ModelOptions {
  readonly mode: ModelMode;
  /** Bounds of the run-time dimensions. */
  readonly dims: Readonly<Record<string, number>>;
  /** Bytes of logits that a loss may keep whole; default 64 MiB. */
  readonly logitsKept?: number | undefined;
  readonly lora: LoraOptions | null;
  /** Whether units' branches take a scale, which some drop plans give them. */
  readonly scaledBranches?: boolean;
  /** What is trained: everything, the adapter alone, or nothing. */
  readonly trains: 'full' | 'adapter' | 'nothing';
}

type TrainingTrace = Pick<ModelOptions, 'dims' | 'lora' | 'scaledBranches'>;

function adapterRule(lora: LoraOptions | null): ((layer: string) => AdapterSpec | undefined) | undefined {
  if (!lora) return undefined;
  const existing = lora.existing?.settings.layers;
  if (existing) {
    return (layer) => {
      const found = Object.hasOwn(existing, layer) ? existing[layer] : undefined;
      return found && { ...found, dropout: lora.dropout };
    };
  }
  const matches = picomatch([...lora.layers], { dot: true });
  return (layer) => (matches(layer) ? { rank: lora.rank, scale: loraScale(lora), dropout: lora.dropout } : undefined);
}

type StorageRule = NonNullable<TraceOptions['storage']>;

/**
 * Traces a model with a low-rank adapter on some of its layers, or without one.
 * @throws EbbError when a glob matches no layer, or an existing adapter does not fit
 */
function traceAdapted(
  trace: (options: TraceOptions) => TracedModel,
  { lora, ...options }: TrainingTrace & Pick<TraceOptions, 'storage' | 'logitsKept'>,
): TracedModel {
  const adapter = adapterRule(lora);
  const model = trace({ ...options, ...(adapter ? { adapter } : {}) });
  if (lora?.existing) checkAdapter(lora.existing, model.params, lora.existing.key);
  else if (lora) checkGlobs(lora.layers, model);
  return model;
}

/** Traces a checkpoint's model, whose weights may be missing. @throws EbbError when a glob matches no layer, or an existing adapter does not fit */
export function traceCheckpoint(checkpoint: Pick<ModelDescription, 'model' | 'tensors'>, options: ModelOptions): TracedModel {
  const { trains } = options;
  /** A frozen weight's dtype on the device: as it is stored, or f32 where no kernel reads its blocks, which are then widened while they are loaded. */
  const stored = (name: string): DType => {
    const dtype = checkpoint.tensors.get(name)?.dtype;
    return dtype !== undefined && isDType(dtype) ? dtype : 'f32';
  };
  const storage: StorageRule = (name) => {
    const trainable = trains === 'full' ? !isAdapterParam(name) : trains === 'adapter' && isAdapterParam(name);
    return { dtype: trainable || isAdapterParam(name) ? 'f32' : stored(name), trainable };
  };
  const definition = checkpoint.model.build(options.mode);
  const { dims, logitsKept, lora, scaledBranches = false } = options;
  const asked = { dims, lora, storage, scaledBranches, ...(logitsKept === undefined ? {} : { logitsKept }) };
  return traceAdapted((o) => traceModel(definition, o), asked);
}

/** Traces a definition: all of it is trained, the adapter alone, or nothing (`frozen`). @throws EbbError when a glob matches no layer */
export function traceForTraining(
  trace: (options: TraceOptions) => TracedModel,
  { frozen = false, ...options }: TrainingTrace & { readonly frozen?: boolean },
): TracedModel {
  const storage: StorageRule = (name) => ({ dtype: 'f32', trainable: !frozen && (options.lora === null || isAdapterParam(name)) });
  return traceAdapted(trace, { ...options, storage });
}

/** Names of the model's linear layers, in the order in which it declares them. */
const linearLayers = ({ params }: TracedModel): string[] => params.filter((p) => p.linear).map((p) => p.name.replace(/\.weight$/, ''));

/** @throws EbbError for a glob that matches no linear layer, and where there is no glob */
function checkGlobs(globs: readonly string[], traced: TracedModel): void {
  const { params } = traced;
  const adapted = params.filter((p) => isAdapterParam(p.name)).map((p) => adaptedLayer(p.name));
  const idle = globs.find((glob) => !adapted.some((layer) => picomatch(glob, { dot: true })(layer)));
  if (idle === undefined && adapted.length > 0) return;
  throw new EbbError(
    idle === undefined
      ? 'lora.layers: expected at least one glob over the names of layers, found none'
      : `lora.layers: ${idle} matches no linear layer of the model; names look like ${sampleLayer(traced)}${likeGlob(idle, traced)}`,
  );
}

/** The glob that was probably meant by the last part of a layer's name alone, as PEFT's target_modules has it. */
const likeGlob = (glob: string, traced: TracedModel): string =>
  linearLayers(traced).some((name) => name.endsWith(`.${glob}`)) ? ` (did you mean *.${glob}?)` : '';

/** A linear layer's name, as an example of all: the first inside of a numbered layer, if there is one. */
function sampleLayer(traced: TracedModel): string {
  const names = linearLayers(traced);
  return names.find((name) => /\.\d+\./.test(name)) ?? names[0] ?? 'the names given to linear()';
}

/** How checkpoints hold a model, as plain data. */
function aboutCheckpoint({ configJson, assumed, prefix, computed, head, ggufArchitecture: architecture, tensors }: Model): CheckpointAbout {
  const places = (): [string, GgufPlace][] => [...tensors()].flatMap(({ name, gguf }) => (gguf ? [[name, gguf]] : []));
  return {
    config: configJson(),
    assumed: assumed(),
    prefix,
    computed,
    head,
    gguf: architecture === null ? null : { architecture, places: Object.fromEntries(places()) },
  };
}

/** An adapter as it was traced. */
function aboutAdapter(traced: TracedModel, lora: LoraOptions): AdapterAbout {
  const { rank, alpha, rslora, dropout } = lora;
  const rule = adapterRule(lora);
  const adapted = [...new Set(traced.params.filter((p) => isAdapterParam(p.name)).map((p) => adaptedLayer(p.name)))];
  const layers = Object.fromEntries(
    adapted.flatMap((layer) => {
      const spec = rule?.(layer);
      return spec ? [[layer, { rank: spec.rank, scale: spec.scale }]] : [];
    }),
  );
  const under = new Set(adapted.map((layer) => `${layer}.weight`));
  const weights = traced.params.filter((p) => under.has(p.name));
  return {
    rank,
    alpha,
    rslora,
    dropout,
    layers,
    targetModules: targetModulesFor(adapted, linearLayers(traced)),
    fanInFanOut: weights.length > 0 && weights.every((p) => p.linear === 'in,out'),
  };
}

/** What a traced model was made of. @param model the checkpoint's; null for a definition */
export function aboutModel(name: string, model: Model | null, traced: TracedModel, lora: LoraOptions | null): ModelAbout {
  return {
    name,
    kind: model?.config.kind ?? 'definition',
    lora: lora && aboutAdapter(traced, lora),
    checkpoint: model && aboutCheckpoint(model),
    vocabSize: model?.config.vocabSize ?? null,
    maxPosition: model?.config.maxPosition ?? null,
    ...(model && !model.learntPositions ? { relativePositions: true } : {}),
  };
}

/** Inputs of a model as its program declares them. */
export function inputDecls(inputs: Readonly<Record<string, Type>>): InputDecl[] {
  return Object.entries(inputs).map(([name, type]) => ({ name, dtype: type.dtype as InputDecl['dtype'], extent: extentOf(type) }));
}

/** A compiled model as training takes it. */
export function trainableModel(traced: TracedModel, { program }: Compiled, about: ModelAbout): TrainableModel {
  const tables = new Map(traced.params.flatMap((p) => (p.table ? [[p.name, p.table] as const] : [])));
  return {
    program,
    about,
    table: (param) => {
      const table = tables.get(param);
      if (!table) throw new EbbError(`internal: parameter ${param} is no table`);
      return table();
    },
  };
}

/** A model, traced, compiled, and ready on a device. */
export interface Session<From extends ModelReading = Checkpoint> {
  /** What it was opened from. */
  readonly checkpoint: From;
  readonly traced: TracedModel;
  readonly compiled: Compiled;
  readonly engine: Engine;
}

/** How a model is traced (mode, bounds, adapter, what is trained), how its kernels are cut, and how its engine starts (micro-batches, optimizer, decay, seed). */
export interface SessionOptions extends ModelOptions, StartOptions {
  /** Seconds that may go into measuring kernels that were not measured before; those that were are cut as they ran best. Default `off`: as the device says. */
  readonly tune?: 'off' | number | undefined;
}

/** How the engine of a session that updates nothing starts. */
export const WITHOUT_UPDATES = { micros: 1, optimizer: 'none', decay: 'matrices', seed: 0 } as const satisfies StartOptions;

/** Whether the weights of a model are there. */
function isCheckpoint(from: ModelReading | ModelDescription): from is Checkpoint {
  return 'tensors' in from && from.missing === null && [...from.tensors.values()].every((tensor) => 'read' in tensor);
}

/**
 * Makes a model run on a device.
 * @param from the path of a checkpoint; the checkpoint as it was opened, with a table of families of one's own; or a model without weights, such as
 * `parseHfConfig` reads: its parameters are f32 then, and drawn
 * @throws EbbError for a checkpoint that cannot be used, and where the device cannot hold it
 */
export async function openSession(from: string | Checkpoint, device: SessionDevice, options: SessionOptions): Promise<Session>;
export async function openSession<From extends ModelReading>(from: From, device: SessionDevice, options: SessionOptions): Promise<Session<From>>;
export async function openSession(from: string | ModelReading, device: SessionDevice, options: SessionOptions): Promise<Session<ModelReading>> {
  const opened = typeof from === 'string' ? openCheckpoint(from) : from;
  const { lora, optimizer, tune = 'off' } = options;
  const checkpoint = isCheckpoint(opened) ? opened : null;
  const traced = traceCheckpoint(checkpoint ?? { model: opened.model, tensors: new Map() }, options);
  const cut = tune === 'off' ? device : withSchedules(device, (await tuneModel(traced, device, tune)).book);
  const compiled = compileModel(traced, { device: compileDeviceOf(cut), ...(optimizer === 'none' ? {} : { optimizers: [optimizer] }) });
  const model = trainableModel(traced, compiled, aboutModel(checkpoint?.path ?? opened.config.kind, opened.model, traced, lora));
  const adapter = lora?.existing?.weights ?? null;
  const engine = await startEngine(device.device, model, checkpoint ? checkpointWeights(checkpoint, adapter) : { ...NO_WEIGHTS, adapter }, options);
  return { checkpoint: opened, traced, compiled, engine };
}
