/** @file Weights on disk: a checkpoint folder, a GGUF file, or safetensors under the parameters' names. */

import type { StoredCheckpoint } from '../formats/checkpoint.ts';
import { fileExists, pathKind } from '../formats/files.ts';
import type { Layout } from '../formats/layout.ts';
import { openSafetensors, readTensor } from '../formats/safetensors.ts';
import { namedWeights, type Weights } from './startingValue.ts';

export interface DiskWeights extends Weights {
  /** Of a language model: its config and tokenizer come along. */
  readonly checkpoint: Pick<StoredCheckpoint<Layout>, 'path' | 'kind' | 'model'> | null;
}

export const NO_WEIGHTS: DiskWeights = { path: null, checkpoint: null, tensors: new Map(), adapter: null };

/** A checkpoint's tensors as what parameters start from. @param adapter what reads an adapter's weights, by parameter name */
export function checkpointWeights(checkpoint: StoredCheckpoint<Layout>, adapter: Weights['adapter'] = null): DiskWeights {
  return { path: checkpoint.path, checkpoint, tensors: checkpoint.tensors, adapter };
}

/**
 * Opens a checkpoint folder, a GGUF file, or a safetensors file whose tensors have the parameters' names.
 * @param openCheckpoint opens what is no bare file of tensors, by what is known of the model
 * @throws EbbError
 */
export function openWeights(path: string, openCheckpoint: (path: string) => StoredCheckpoint<Layout>): DiskWeights {
  const inCheckpoint = pathKind(path) === 'folder' || path.toLowerCase().endsWith('.gguf') || fileExists(path.replace(/[^\\/]*$/, 'config.json'));
  if (inCheckpoint) return checkpointWeights(openCheckpoint(path));
  const file = openSafetensors(path);
  return { ...namedWeights(path, file.tensors, ({ name }, offset, length) => readTensor(file, name, offset, length)), checkpoint: null };
}
