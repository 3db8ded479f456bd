/** @file Opens the model that a command trains or compiles: a checkpoint, or a definition in TypeScript. Both are traced for given bounds. */

import { join } from 'node:path';
import { programInputs } from '../compile/compile.ts';
import { loadDefinition, traceDefinition } from '../definition/load.ts';
import { EbbError, option } from '../errors.ts';
import { fileExists } from '../formats/files.ts';
import type { StoredType } from '../formats/storedType.ts';
import type { MissingWeights } from '../formats/weights.ts';
import { mainOf } from '../ir/module.ts';
import { typeText } from '../ir/types.ts';
import { describeModel, type ModelDescription, openCheckpoint } from '../models/checkpoint.ts';
import { trainingMode } from '../models/inputs.ts';
import type { PositionSubject } from '../run/batchFiles.ts';
import { during, tell, tellNotes, type Watch } from '../run/progress.ts';
import { checkpointWeights, type DiskWeights, NO_WEIGHTS, openWeights } from '../run/weights.ts';
import type { ModelAbout } from '../runtime/planFile.ts';

import type { TraceOptions } from '../trace/context.ts';
import type { TracedModel } from '../trace/trace.ts';
import { modelPath } from './modelPath.ts';
import { aboutModel, inputDecls, type LoraOptions, traceCheckpoint, traceForTraining } from './session.ts';

export interface TraceBounds {
  /** Most sequences of a batch. Null: as the definition says. */
  readonly batch: number | null;
  /** Most tokens of a sequence. Null: as the definition says. */
  readonly length: number | null;
  readonly lora: LoraOptions | null;
  /** Whether positions start over within rows, because they hold several sequences. Default: no. */
  readonly restarts?: boolean;
  /** Whether the branches of units are multiplied by a scale, which some drop plans set. */
  readonly scaledBranches?: boolean;
  /** Whether nothing is trained. Default: the adapter is trained, or everything where there is none. */
  readonly frozen?: boolean;
}

/** A model without its weights, which may be missing. */
export interface SourceDescription extends PositionSubject {
  readonly vocabSize: number | null;
  readonly maxPosition: number | null;
  /** Returns the path of the tokenizer. @throws EbbError where there is none */
  readonly tokenizer: () => string;
  /** Traces the model for training. @throws EbbError for a length that exceeds its positions, and an adapter that fits no layer */
  trace(bounds: TraceBounds): TracedModel;
  about(traced: TracedModel, lora: LoraOptions | null): ModelAbout;
}

/** A model with its weights, which can be run. */
export interface ModelSource extends SourceDescription {
  readonly weights: DiskWeights;
}

export const isDefinition = (model: string): boolean => /\.[mc]?ts$/i.test(model);

/** @throws EbbError for weights that are given beside a checkpoint, which has its own */
export function checkWeights(model: string, weights: string | undefined): void {
  if (weights !== undefined && !isDefinition(model))
    throw new EbbError(`weights: ${model} is a checkpoint and has its own; leave ${weights} out, or give a definition (.ts) as model`);
}

/**
 * Opens a checkpoint with its weights, or a model definition.
 * @param weights of a definition: the file that its parameters start from; without it they are drawn
 * @throws EbbError for a model that cannot be opened, and weights that do not belong to it
 */
export async function openSource(model: string, weights?: string, watch: Watch = {}): Promise<ModelSource> {
  checkWeights(model, weights);
  if (isDefinition(model))
    return during(watch, `reading ${model}`, () => definitionSource(model, weights === undefined ? NO_WEIGHTS : openWeights(weights, openCheckpoint)));
  const path = await modelPath(model, {}, watch);
  const checkpoint = await during(watch, `reading ${model}`, () => openCheckpoint(path));
  tellNotes(watch, model, checkpoint.notes);
  return { ...checkpointSource(model, checkpoint), weights: checkpointWeights(checkpoint) };
}

/**
 * Opens a checkpoint whose weights may be missing, or a model definition.
 * @param dtype the type of tensors that no header describes; default: as the configuration says
 * @throws EbbError for a model that cannot be opened, and a dtype where the model says itself how its tensors are stored
 */
export async function describeSource(model: string, dtype: StoredType | undefined, watch: Watch = {}): Promise<SourceDescription> {
  if (!isDefinition(model)) return checkpointSource(model, await describeCheckpoint(model, dtype, watch));
  if (dtype !== undefined)
    throw new EbbError(`${option('dtype')} is ${dtype}, but ${model} is a definition, whose parameters are f32; leave ${option('dtype')} out`);
  return during(watch, `reading ${model}`, () => definitionSource(model, NO_WEIGHTS));
}

/** Opens a checkpoint whose weights may be missing, and tells if they are, and what of its files is not used. @param dtype as for `describeSource` @throws EbbError as `describeSource` does */
export async function describeCheckpoint(model: string, dtype: StoredType | undefined, watch: Watch = {}): Promise<ModelDescription> {
  const path = await modelPath(model, { weights: false }, watch);
  const described = await during(watch, `reading ${model}`, () => describeModel(path, dtype));
  tellNotes(watch, model, described.notes);
  if (described.missing) tell(watch, missingText(described.missing));
  return described;
}

/** Returns the path of a checkpoint, which has a tokenizer. @throws EbbError where it has none */
function tokenizerBeside({ kind, path }: ModelDescription): string {
  if (kind === 'hf' && !fileExists(join(path, 'tokenizer.json'))) throw new EbbError(`${path}: holds no tokenizer.json, expected one beside the model`);
  return path;
}

/** Says which weights are missing, and how they are taken to be stored. */
function missingText({ message, assumed }: MissingWeights): string {
  return `${message}; going on without weights${assumed ? `, tensors are taken to be stored as ${assumed.dtype} (${assumed.from})` : ''}`;
}

function checkpointSource(model: string, checkpoint: ModelDescription): SourceDescription {
  const { vocabSize, maxPosition } = checkpoint.config;
  return {
    inputs: inputDecls(trainingMode(1).inputs),
    relativePositions: !checkpoint.model.learntPositions,
    canTakePositions: true,
    vocabSize,
    maxPosition,
    tokenizer: () => tokenizerBeside(checkpoint),
    trace({ batch, length, lora, restarts = false, scaledBranches = false, frozen = false }) {
      const T = length ?? Math.min(DEFAULT_LENGTH, maxPosition);
      if (T > maxPosition) throw new EbbError(`${option('length')} is ${T}, but the model has positions for ${maxPosition}; give a smaller one`);
      const dims = { B: batch ?? DEFAULT_BATCH, T };
      const mode = trainingMode(T, { positions: restarts && checkpoint.model.learntPositions });
      return traceCheckpoint(checkpoint, { mode, dims, lora, scaledBranches, trains: frozen ? 'nothing' : lora ? 'adapter' : 'full' });
    },
    about: (traced, lora) => aboutModel(nameOf(model), checkpoint.model, traced, lora),
  };
}

const DEFAULT_BATCH = 2;
const DEFAULT_LENGTH = 256;

async function definitionSource(model: string, weights: DiskWeights): Promise<ModelSource> {
  const loaded = await loadDefinition(model);
  const { definition } = loaded;
  const noTokenizer = (): never => {
    throw new EbbError(`${model}: a definition has no tokenizer; give ready batches as data (safetensors or .bin)`);
  };
  const trace: ModelSource['trace'] = ({ batch, length, lora, scaledBranches = false, frozen = false }) => {
    const named = new Set(Object.values(definition.inputs).flatMap((t) => t.shape.filter((d) => typeof d === 'string')));
    const asked = { B: batch ?? definition.dims?.['B'] ?? DEFAULT_BATCH, T: length ?? definition.dims?.['T'] ?? DEFAULT_LENGTH };
    const dims = Object.fromEntries(Object.entries({ ...definition.dims, ...asked }).filter(([name]) => named.has(name)));
    return traceForTraining((options: TraceOptions) => traceDefinition(loaded, options), { dims, lora, scaledBranches, frozen });
  };
  return {
    // The range of ids that an input may hold is found in the traced model.
    inputs: programInputs(trace({ batch: null, length: null, lora: null })),
    vocabSize: null,
    maxPosition: null,
    weights,
    tokenizer: noTokenizer,
    trace,
    about: (traced, lora) => aboutModel(loaded.name, null, traced, lora),
  };
}

/**
 * Checks sizes that were asked for by flags.
 * @throws EbbError for a size of a dimension that no input of the model has: B for --batch, T for --length
 */
export function checkSizes(model: string, { inputs }: Pick<SourceDescription, 'inputs'>, sizes: Pick<TraceBounds, 'batch' | 'length'>): void {
  const dims = new Set(inputs.flatMap(({ extent }) => extent.of));
  for (const [name, dim] of [
    ['batch', 'B'],
    ['length', 'T'],
  ] as const)
    if (sizes[name] !== null && !dims.has(dim))
      throw new EbbError(`--${name} is ${sizes[name]}, but no input of ${model} has a dimension ${dim}; leave --${name} out`);
}

/** @throws EbbError for a model that cannot be trained, because it has no loss, or no parameter that is trained */
export function checkTrains(model: string, { module, params }: TracedModel): void {
  const [loss] = mainOf(module).results;
  const type = loss && typeText(loss.value.type);
  if (type !== 'f32[]')
    throw new EbbError(`${model}: build returns ${type ?? 'nothing'}, expected a loss, f32[], as its first result, to train the model; mean() makes one`);
  if (!params.some((p) => p.trainable)) throw new EbbError(`${model}: has no parameter to train; declare some with param(), or by layers such as linear()`);
}

/** The name of the package that is made of a model: the last folder or file of its path, without its ending. */
export function nameOf(model: string): string {
  const parts = model.split(/[\\/]/).filter((part) => part !== '' && part !== '.' && part !== 'model');
  return (parts.at(-1) ?? 'model').replace(/\.(gguf|[mc]?[tj]s)$/i, '');
}
