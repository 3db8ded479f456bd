/** @file Writes a loaded model, or the adapter on it, into a folder. */

import { cpSync, existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { EbbError } from '../errors.ts';
import { fileError, makeFolder } from '../formats/files.ts';
import type { Checkpoint } from '../models/checkpoint.ts';
import { isPeftFolder, type LoadedAdapter } from '../run/adapter.ts';
import { writeAdapter } from '../run/result.ts';
import type { AdapterAbout } from '../runtime/planFile.ts';

/** The files of a model or of a PEFT adapter. */
function filesOf(folder: string): readonly string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile() && !basename(file).startsWith('.'));
}

/** An adapter that was loaded, and what its config says. */
export interface SavedAdapter {
  readonly loaded: LoadedAdapter;
  readonly about: AdapterAbout;
}

/** @throws EbbError for a folder that holds something, and one that cannot be written */
export async function saveModel(
  folder: string,
  { kind, path, tensors }: Pick<Checkpoint, 'kind' | 'path' | 'tensors'>,
  adapter: SavedAdapter | null,
): Promise<void> {
  if (existsSync(folder) && readdirOf(folder).length > 0) throw new EbbError(`${folder}: is there already, and not empty; give a new folder`, 'file');
  if (adapter && !isPeftFolder(adapter.loaded.path)) return writeAdapter(folder, adapter.about, adapter.loaded, path);
  try {
    makeFolder(folder);
    // a GGUF file may be in parts
    const parts = new Set([path, ...[...tensors.values()].flatMap(({ file }) => file ?? [])]);
    const files = adapter === null && kind === 'gguf' ? [...parts] : filesOf(adapter?.loaded.path ?? path);
    for (const file of files) cpSync(file, join(folder, basename(file)));
  } catch (error) {
    throw fileError(folder, error);
  }
}

function readdirOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    throw fileError(folder, error);
  }
}
