/** @file How a run stands, and which steps' results it holds, by what lies in its folder. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointNames } from '../run/checkpointNames.ts';
import { isRunning } from '../run/lock.ts';
import { BEST, EARLIER_RESULTS, RESULT, trainedMoment } from '../run/results.ts';
import { FAILURE } from '../run/runFolder.ts';
import type { KeptResults, RunState } from './report.ts';

/** How a run is to end. */
export interface Ending {
  /** Steps that are done, and those of the whole run. */
  readonly done: number;
  readonly of: number | null;
  /** Whether its held-out loss has not got lower for as long as it has patience. */
  readonly hasNoPatience: boolean;
}

/** How a run stands. */
export function stateOf(folder: string, { done, of, hasNoPatience }: Ending): RunState {
  if (isRunning(folder)) return 'running';
  if (existsSync(join(folder, FAILURE))) return 'failed';
  const saved = Number(checkpointNames(folder).at(-1)?.replace(/\D/g, '') ?? Number.NaN);
  const isSaved = saved === done || trainedMoment(join(folder, RESULT))?.step === done;
  const isWhole = of !== null && done >= of;
  if (isWhole && (isSaved || EARLIER_RESULTS.some((name) => existsSync(join(folder, name))))) return 'done';
  if (!isSaved) return 'failed';
  return hasNoPatience ? 'ended early' : 'interrupted';
}

/** After which steps the results of a run were written. */
export const keptResults = (folder: string): KeptResults => ({
  result: trainedMoment(join(folder, RESULT))?.step ?? null,
  best: trainedMoment(join(folder, BEST))?.step ?? null,
});
