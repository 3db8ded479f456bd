/** @file Where a command's model lies. */

import { existsSync } from 'node:fs';
import { type HubOptions, hubFolder, isHubId } from '../formats/hub.ts';
import { downloadPrinter } from '../terminal/progress.ts';

/** A path as it is, or the local folder of a hub id; a download shows its progress. */
export async function modelPath(model: string, options: HubOptions = {}): Promise<string> {
  if (existsSync(model) || !isHubId(model)) return model;
  return hubFolder(model, { onProgress: downloadPrinter(), ...options });
}
