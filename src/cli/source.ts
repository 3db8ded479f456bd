/** @file What a command compiles: a checkpoint's model, traced for given bounds. */

import { EbbError } from '../errors.ts';
import { openCheckpoint } from '../formats/checkpoint.ts';
import { trainingMode } from '../models/inputs.ts';
import type { ModelAbout } from '../runtime/plan.ts';
import { aboutModel, type LoraOptions, traceCheckpoint } from '../session.ts';
import type { TracedModel } from '../trace/trace.ts';
import { modelPath } from './model.ts';

export interface TraceBounds {
  readonly batch: number;
  readonly length: number;
  readonly lora: LoraOptions | null;
}

export interface ModelSource {
  /** The training program's model. @throws EbbError */
  trace(bounds: TraceBounds): TracedModel;
  about(traced: TracedModel, lora: LoraOptions | null): ModelAbout;
}

/** Opens a checkpoint. @throws EbbError */
export async function openSource(model: string): Promise<ModelSource> {
  const checkpoint = openCheckpoint(await modelPath(model));
  const { config } = checkpoint;
  return {
    trace({ batch, length, lora }) {
      if (length > config.maxPosition) throw new EbbError(`--length is ${length}, the model has positions for ${config.maxPosition}; give a smaller one`);
      return traceCheckpoint(checkpoint, { mode: trainingMode(length), dims: { B: batch, T: length }, lora, trains: lora ? 'adapter' : 'full' });
    },
    about: (traced, lora) => aboutModel(nameOf(model), config, traced, lora),
  };
}

/** The last folder or file of a path, without its ending: what a package is called. */
export function nameOf(model: string): string {
  const parts = model.split(/[\\/]/).filter((part) => part !== '' && part !== '.' && part !== 'model');
  return (parts.at(-1) ?? 'model').replace(/\.(gguf|[mc]?[tj]s)$/i, '');
}
