/** @file Weights on disk: a checkpoint folder, a GGUF file, or safetensors under the parameters' names. */

import { type Checkpoint, openCheckpoint } from '../formats/checkpoint.ts';
import { fileExists, pathKind } from '../formats/files.ts';
import { openSafetensors, readTensor } from '../formats/safetensors.ts';
import { namedWeights, type Weights } from './startingValue.ts';

export interface DiskWeights extends Weights {
  /** Of a language model: its config and tokenizer come along. */
  readonly checkpoint: Checkpoint | null;
}

export const NO_WEIGHTS: DiskWeights = { path: null, checkpoint: null, tensors: new Map(), adapter: null };

export function checkpointWeights(checkpoint: Checkpoint, adapter: Weights['adapter'] = null): DiskWeights {
  return { path: checkpoint.path, checkpoint, tensors: checkpoint.tensors, adapter };
}

/** Opens a checkpoint folder, a GGUF file, or a safetensors file whose tensors have the parameters' names. @throws EbbError */
export function openWeights(path: string): DiskWeights {
  const inCheckpoint = pathKind(path) === 'folder' || path.toLowerCase().endsWith('.gguf') || fileExists(path.replace(/[^\\/]*$/, 'config.json'));
  if (inCheckpoint) return checkpointWeights(openCheckpoint(path));
  const file = openSafetensors(path);
  return { ...namedWeights(path, file.tensors, ({ name }, offset, length) => readTensor(file, name, offset, length)), checkpoint: null };
}
