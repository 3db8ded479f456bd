/** @file Weights on disk: a checkpoint folder, a GGUF file, or safetensors under the parameters' names. */

import { basename, dirname, join } from 'node:path';
import type { StoredCheckpoint } from '../formats/checkpoint.ts';
import { fileExists, pathKind } from '../formats/files.ts';
import type { Layout } from '../formats/layout.ts';
import { openSafetensors, readTensor } from '../formats/safetensors.ts';
import { trainedIn } from './results.ts';
import { namedWeights, type Weights } from './startingValue.ts';

export interface DiskWeights extends Weights {
  /** Of a language model: its config and tokenizer come along. */
  readonly checkpoint: Pick<StoredCheckpoint<Layout>, 'path' | 'kind' | 'model' | 'notes'> | null;
}

export const NO_WEIGHTS: DiskWeights = { path: null, checkpoint: null, tensors: new Map(), adapter: null };

/** A checkpoint's tensors as what parameters start from. @param adapter what reads an adapter's weights, by parameter name */
export function checkpointWeights(checkpoint: StoredCheckpoint<Layout>, adapter: Weights['adapter'] = null): DiskWeights {
  return { path: checkpoint.path, checkpoint, tensors: checkpoint.tensors, adapter };
}

const SINGLE = 'model.safetensors';
const IN_CHECKPOINT: readonly string[] = ['config.json', SINGLE, `${SINGLE}.index.json`];

/** Whether weights come with the configuration of a language model. */
function isCheckpoint(path: string): boolean {
  // a folder that holds neither is no checkpoint either, and what it is will be said
  if (pathKind(path) === 'folder') return fileExists(join(path, 'config.json')) || !fileExists(join(path, SINGLE));
  return path.toLowerCase().endsWith('.gguf') || (IN_CHECKPOINT.includes(basename(path)) && fileExists(join(dirname(path), 'config.json')));
}

/**
 * Opens a checkpoint folder, a GGUF file, or a safetensors file whose tensors have the parameters' names: by itself, or as the
 * model.safetensors of a folder, as a trained definition leaves it. A run, or a checkpoint of one, stands for what it trained.
 * @param openCheckpoint opens what is no bare file of tensors, by what is known of the model
 * @throws EbbError
 */
export function openWeights(named: string, openCheckpoint: (path: string) => StoredCheckpoint<Layout>): DiskWeights {
  const given = trainedIn(named);
  if (isCheckpoint(given)) return checkpointWeights(openCheckpoint(given));
  const path = pathKind(given) === 'folder' ? join(given, SINGLE) : given;
  const file = openSafetensors(path);
  return { ...namedWeights(path, file.tensors, ({ name }, offset, length) => readTensor(file, name, offset, length)), checkpoint: null };
}
