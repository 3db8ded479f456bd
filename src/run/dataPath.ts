/** @file Where data lies. */

import { existsSync } from 'node:fs';
import { dataFile } from '../data/fileKinds.ts';
import { hubFolder, isHubId } from '../formats/hub.ts';
import { pieces, type Watch } from './progress.ts';

/** A path as it is, or the local folder of a data set's id on the hub; a download tells its progress, file by file. */
export async function dataPath(data: string, watch: Watch = {}): Promise<string> {
  // shards lie in a folder of the hub's own, so an ending makes a path a file
  if (existsSync(data) || !isHubId(data) || dataFile(data) !== null) return data;
  const onProgress = (file: string, done: number, total: number): void => pieces(watch, `downloading ${file}`, 'bytes')(done, total);
  return hubFolder(data, { dataset: (path) => dataFile(path) !== null, onProgress, signal: watch.signal as AbortSignal | undefined });
}
