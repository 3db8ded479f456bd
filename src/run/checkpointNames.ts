/** @file What checkpoints are called in a run's folder, and the files of one. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The folder of a run's checkpoints in its own. */
export const CHECKPOINTS = 'checkpoints';
/** The file of a checkpoint's parameters and moments, and that of where its run stood. */
export const TENSORS = 'training.safetensors';
export const STATE = 'state.json';

/** The name of the checkpoint after a number of steps. */
export const checkpointName = (step: number): string => `step-${String(step).padStart(8, '0')}`;

/** The folder of a checkpoint. */
export const checkpointPath = (run: string, name: string): string => join(run, CHECKPOINTS, name);

/** The names of the checkpoints in a run's folder, the newest last. What is half written has another name. */
export function checkpointNames(run: string): string[] {
  const folder = join(run, CHECKPOINTS);
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => /^step-\d+$/.test(name))
        .sort()
    : [];
}
