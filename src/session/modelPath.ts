/** @file Finds the folder or file of the model that a command names. */

import { existsSync } from 'node:fs';
import { type HubOptions, hubFolder, isHubId } from '../formats/hub.ts';
import { downloadPrinter } from '../terminal/progress.ts';

/** Returns a path as it is, and the local folder of a hub id, which is downloaded first where it is not there. @throws EbbError where it cannot be downloaded */
export async function modelPath(model: string, options: HubOptions = {}): Promise<string> {
  if (existsSync(model) || !isHubId(model)) return model;
  return hubFolder(model, { onProgress: downloadPrinter(), ...options });
}
