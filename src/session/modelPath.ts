/** @file Where a model lies. */

import { existsSync } from 'node:fs';
import { type HubOptions, hubFolder, isHubId } from '../formats/hub.ts';
import { pieces, type Watch } from '../run/progress.ts';
import { trainedIn } from '../run/results.ts';

/** A path; of a run, or a checkpoint of one, that of what it trained; or the local folder of a hub id, whose download tells its progress, file by file. */
export async function modelPath(model: string, options: HubOptions = {}, watch: Watch = {}): Promise<string> {
  if (existsSync(model)) return trainedIn(model);
  if (!isHubId(model)) return model;
  const onProgress = (file: string, done: number, total: number): void => pieces(watch, `downloading ${file}`, 'bytes')(done, total);
  return hubFolder(model, { onProgress, signal: watch.signal as AbortSignal | undefined, ...options });
}
