/** @file What a command trains or compiles: a checkpoint's model, or a definition in TypeScript; traced for given bounds. */

import { programInputs } from '../compile/compile.ts';
import { loadDefinition, traceDefinition } from '../definition/load.ts';
import { EbbError } from '../errors.ts';
import { openCheckpoint } from '../formats/checkpoint.ts';
import { mainOf } from '../ir/module.ts';
import { typeText } from '../ir/types.ts';
import { trainingMode } from '../models/inputs.ts';
import type { ModelAbout } from '../runtime/plan.ts';
import type { InputDecl } from '../runtime/program.ts';
import { aboutModel, inputDecls, type LoraOptions, traceCheckpoint, traceForTraining } from '../session.ts';
import type { TraceOptions } from '../trace/context.ts';
import type { TracedModel } from '../trace/trace.ts';
import { checkpointWeights, type DiskWeights, NO_WEIGHTS, openWeights } from '../trainer/weights.ts';
import { modelPath } from './model.ts';

export interface TraceBounds {
  /** Most sequences and tokens; null: as the definition says. */
  readonly batch: number | null;
  readonly length: number | null;
  readonly lora: LoraOptions | null;
  /** Whether units' branches take a scale, which some drop plans give them. */
  readonly scaledBranches?: boolean;
  /** Nothing is trained; default: the adapter, or everything where there is none. */
  readonly frozen?: boolean;
}

export interface ModelSource {
  readonly inputs: readonly InputDecl[];
  readonly vocabSize: number | null;
  readonly maxPosition: number | null;
  readonly weights: DiskWeights;
  /** Where the tokenizer is. @throws EbbError where there is none */
  readonly tokenizer: () => string;
  /** The training program's model. @throws EbbError */
  trace(bounds: TraceBounds): TracedModel;
  about(traced: TracedModel, lora: LoraOptions | null): ModelAbout;
}

export const isDefinition = (model: string): boolean => /\.[mc]?ts$/i.test(model);

/**
 * Opens a checkpoint or a model definition.
 * @param weights of a definition: what its parameters start from; undefined: they are drawn
 * @throws EbbError
 */
export async function openSource(model: string, weights?: string): Promise<ModelSource> {
  if (isDefinition(model)) return definitionSource(model, weights === undefined ? NO_WEIGHTS : openWeights(weights));
  if (weights !== undefined)
    throw new EbbError(`weights: ${model} is a checkpoint and brings its own; leave ${weights} out, or give a definition (.ts) as model`);
  return checkpointSource(model);
}

async function checkpointSource(model: string): Promise<ModelSource> {
  const checkpoint = openCheckpoint(await modelPath(model));
  const { config } = checkpoint;
  const { vocabSize, maxPosition } = config;
  return {
    inputs: inputDecls(trainingMode(1).inputs),
    vocabSize,
    maxPosition,
    weights: checkpointWeights(checkpoint),
    tokenizer: () => checkpoint.path,
    trace({ batch, length, lora, scaledBranches = false, frozen = false }) {
      const T = length ?? Math.min(DEFAULT_LENGTH, maxPosition);
      if (T > maxPosition) throw new EbbError(`--length is ${T}, the model has positions for ${maxPosition}; give a smaller one`);
      const dims = { B: batch ?? DEFAULT_BATCH, T };
      return traceCheckpoint(checkpoint, { mode: trainingMode(T), dims, lora, scaledBranches, trains: frozen ? 'nothing' : lora ? 'adapter' : 'full' });
    },
    about: (traced, lora) => aboutModel(nameOf(model), { kind: config.kind, vocabSize, maxPosition }, traced, lora),
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
    // the ids that inputs may hold are found in the traced model
    inputs: programInputs(trace({ batch: null, length: null, lora: null })),
    vocabSize: null,
    maxPosition: null,
    weights,
    tokenizer: noTokenizer,
    trace,
    about: (traced, lora) => aboutModel(loaded.name, { kind: 'definition', vocabSize: null, maxPosition: null }, traced, lora),
  };
}

/** @throws EbbError for a model that there is nothing to learn of: no loss, or no parameter that is trained */
export function checkTrains(model: string, { module, params }: TracedModel): void {
  const [loss] = mainOf(module).results;
  const type = loss && typeText(loss.value.type);
  if (type !== 'f32[]') throw new EbbError(`${model}: build returns ${type ?? 'nothing'}, expected the loss first, f32[], to train it; mean() makes one`);
  if (!params.some((p) => p.trainable)) throw new EbbError(`${model}: has no parameter to train; declare some with param(), or by layers such as linear()`);
}

/** The last folder or file of a path, without its ending: what a package is called. */
export function nameOf(model: string): string {
  const parts = model.split(/[\\/]/).filter((part) => part !== '' && part !== '.' && part !== 'model');
  return (parts.at(-1) ?? 'model').replace(/\.(gguf|[mc]?[tj]s)$/i, '');
}
