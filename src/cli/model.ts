/** @file Where a command's model lies. */

import { existsSync } from 'node:fs';
import { hubFolder, isHubId } from '../formats/hub.ts';

/** A path as it is, or the local folder of a hub id. */
export async function modelPath(model: string): Promise<string> {
  if (existsSync(model) || !isHubId(model)) return model;
  return hubFolder(model);
}
