/** @file How a run stands, by what its folder holds. */

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CONFIG } from '../run/earlierRun.ts';
import { METRICS } from '../run/metrics.ts';
import { checkpointNames } from '../run/runFolder.ts';
import type { RunState } from './report.ts';

/** A run that has written nothing for so long does not go on. A step on a processor may take a minute. */
const SILENT_MS = 120_000;

const changedMs = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY;

/** Where runs leave what they trained. */
const RESULTS = ['adapter', 'model'];

/** Whether a run goes on: whether its last lines are fresh, and it has not left its result behind its last step. */
function isRunning(folder: string, isWhole: boolean): boolean {
  if (isWhole && RESULTS.some((name) => existsSync(join(folder, name)))) return false;
  return Date.now() - Math.max(changedMs(join(folder, CONFIG)), changedMs(join(folder, METRICS))) < SILENT_MS;
}

/** How a run stands that has done so many steps of all. */
export function stateOf(folder: string, done: number, of: number | null): RunState {
  const isWhole = of !== null && done >= of;
  if (isRunning(folder, isWhole)) return 'running';
  if (isWhole) return 'done';
  const saved = Number(checkpointNames(folder).at(-1)?.replace(/\D/g, '') ?? Number.NaN);
  return saved === done ? 'interrupted' : 'failed';
}
