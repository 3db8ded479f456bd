/** @file Where a model lies. */

import { existsSync } from 'node:fs';
import { type HubOptions, hubFolder, isHubId } from '../formats/hub.ts';
import { pieces, type Watch } from '../run/progress.ts';

/** A path as it is, or the local folder of a hub id; a download tells its progress, file by file. */
export async function modelPath(model: string, options: HubOptions = {}, watch: Watch = {}): Promise<string> {
  if (existsSync(model) || !isHubId(model)) return model;
  const onProgress = (file: string, done: number, total: number): void => pieces(watch, `downloading ${file}`, 'bytes')(done, total);
  return hubFolder(model, { onProgress, signal: watch.signal as AbortSignal | undefined, ...options });
}
