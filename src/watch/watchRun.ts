/** @file Watches a run by its folder, from another process than its own. */

import { setTimeout as wait } from 'node:timers/promises';
import { followMetrics } from '../run/followMetrics.ts';
import type { RunMetrics } from '../run/metrics.ts';
import type { StopSignal } from '../run/progress.ts';
import { readFacts, runState, viewOf } from './readRun.ts';
import type { RunState, RunView } from './report.ts';

/**
 * Gives a run as it is, and again whenever it has changed, until it ends: the last one says how. An abort ends the watching alone.
 * @param everyMs how often its folder is looked at
 * @throws EbbError naming the file that cannot be read
 */
export async function* views(folder: string, everyMs: number, signal: StopSignal | undefined): AsyncGenerator<RunView, void> {
  const next = followMetrics(folder);
  let metrics: RunMetrics = { steps: [], heldOut: [] };
  let shown: RunState | undefined;
  while (signal?.aborted !== true) {
    const found = next();
    metrics = found ?? metrics;
    const facts = readFacts(folder);
    const state = runState(folder, facts, metrics);
    if (found !== null || state !== shown) yield viewOf(folder, facts, metrics);
    shown = state;
    if (state !== 'running') return;
    await wait(everyMs);
  }
}
