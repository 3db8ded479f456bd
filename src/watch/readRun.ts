/** @file Reads what became of a run from its folder. */

import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { readText } from '../formats/files.ts';
import { parseJson } from '../formats/json.ts';
import { parseBy } from '../issues.ts';
import { SUMMARY } from '../run/account.ts';
import { droppedShare } from '../run/droppedShare.ts';
import { CONFIG, storedConfig } from '../run/earlierRun.ts';
import { sinceLowest } from '../run/heldOut.ts';
import { METRICS, type RunMetrics, readMetrics, type StoredStep } from '../run/metrics.ts';
import { MOMENT } from '../run/moment.ts';
import { curvesOf, planText } from '../run/readCurve.ts';
import type { HeldOutPoint, LatestStep, RunReport, RunState, RunView } from './report.ts';
import { type Ending, keptResults, stateOf } from './state.ts';

/** Steps whose mean is the smoothed loss. */
const SMOOTHED = 20;
/** Steps by which the time that is left is told. */
const RECENT = 50;
/** The first steps compile, so that they say nothing of the speed. */
const SLOW_FIRST = 3;

/** Whether a folder is that of a run, which may not have done a step yet. */
export const isRunFolder = (folder: string): boolean =>
  existsSync(join(folder, METRICS)) || (existsSync(join(folder, CONFIG)) && existsSync(join(folder, MOMENT)));

/** What a folder is called where several runs are shown. */
export const runName = (folder: string): string => (/^[./]*$/.test(folder) ? basename(resolve(folder)) : folder);

/** What of a run's config is shown. */
const shownConfig = z.object({
  model: z.string(),
  steps: z.int().positive().optional(),
  drop: z.unknown().optional(),
  patience: z.int().positive().optional(),
  evalEvery: z.int().nonnegative().default(0),
});
/** What of a run's account is needed to say which share of its units was dropped. Earlier versions kept none. */
const unitCount = z.object({ trains: z.object({ units: z.int().positive() }) });

/** What does not change while a run goes on. */
export type RunFacts = Readonly<z.output<typeof shownConfig>> & { readonly units: number | null };

/** Reads what a run is. @throws EbbError naming the file, for a config that cannot be read */
export function readFacts(folder: string): RunFacts {
  const file = join(folder, CONFIG);
  const config = parseBy(shownConfig, storedConfig(file), file, 'the run cannot be shown without');
  const summary = join(folder, SUMMARY);
  const account = existsSync(summary) ? unitCount.safeParse(parseJson(summary, readText(summary))) : undefined;
  return { ...config, units: account?.data?.trains.units ?? null };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function latestOf(steps: readonly StoredStep[], units: number | null): LatestStep | null {
  const last = steps.at(-1);
  if (!last) return null;
  const recent = steps.slice(-SMOOTHED);
  const { loss, lr = null, gradNorm = null, peakBytes: activationBytes = null, dropped, skipped = [] } = last;
  const share = dropped === undefined || units === null ? null : droppedShare({ dropped, skipped }, units);
  return { loss, smoothed: sum(recent.map((step) => step.loss)) / recent.length, lr, gradNorm, dropped: share, activationBytes };
}

function heldOutOf(heldOut: RunMetrics['heldOut']): RunReport['heldOut'] {
  const points = heldOut.map(({ step, heldOut: loss }): HeldOutPoint => ({ step, loss }));
  const last = points.at(-1);
  if (!last) return null;
  // what was not trained is the best of nothing, unless there is nothing else
  const trained = points.some(({ step }) => step > 0) ? points.filter(({ step }) => step > 0) : points;
  const best = trained.filter(({ loss }) => Number.isFinite(loss)).sort((a, b) => a.loss - b.loss)[0];
  return { best: best ?? null, last };
}

function speedOf(steps: readonly StoredStep[]): number | null {
  const counted = steps.length > 2 * SLOW_FIRST ? steps.slice(SLOW_FIRST) : steps;
  const tokens = counted.map((step) => step.tokens).filter((count) => count !== undefined);
  const ms = sum(counted.map((step) => step.ms));
  return counted.length === 0 || tokens.length < counted.length || ms === 0 ? null : (1000 * sum(tokens)) / ms;
}

const endingOf = ({ steps: planned, patience, evalEvery }: RunFacts, { steps, heldOut }: RunMetrics): Ending => ({
  done: steps.at(-1)?.step ?? 0,
  of: planned ?? null,
  hasNoPatience: patience !== undefined && sinceLowest(heldOut, evalEvery) >= patience,
});

/** How a run stands, by what it is and its metrics. */
export const runState = (folder: string, facts: RunFacts, metrics: RunMetrics): RunState => stateOf(folder, endingOf(facts, metrics));

/** Says what became of a run, by what it is and its metrics. */
export function reportOf(folder: string, facts: RunFacts, metrics: RunMetrics): RunReport {
  const { model, drop, units } = facts;
  const { steps, heldOut } = metrics;
  const state = runState(folder, facts, metrics);
  const { done, of } = endingOf(facts, metrics);
  const recent = steps.slice(-RECENT).map((step) => step.ms);
  const isTimed = state === 'running' && of !== null && recent.length > 0;
  return {
    folder,
    state,
    model,
    drop: planText(drop),
    steps: { done, of },
    latest: latestOf(steps, units),
    heldOut: heldOutOf(heldOut),
    kept: keptResults(folder),
    seconds: sum(steps.map((step) => step.ms)) / 1000,
    secondsLeft: isTimed ? ((of - done) * sum(recent)) / recent.length / 1000 : null,
    tokensPerSecond: speedOf(steps),
  };
}

/** Metrics of a run that may not have done a step yet. */
const metricsOf = (folder: string): RunMetrics => (existsSync(join(folder, METRICS)) ? readMetrics(folder) : { steps: [], heldOut: [] });

/** Reads what became of a run. @throws EbbError naming the file that cannot be read, and the line or key */
export const readRun = (folder: string): RunReport => reportOf(folder, readFacts(folder), metricsOf(folder));

/** A run and its losses, by what it is and its metrics. */
export function viewOf(folder: string, facts: RunFacts, metrics: RunMetrics): RunView {
  const report = reportOf(folder, facts, metrics);
  return { ...report, curve: { name: runName(folder), drop: report.drop, ...curvesOf(metrics) } };
}

/** Reads a run and its losses. @throws EbbError as `readRun` */
export const readView = (folder: string): RunView => viewOf(folder, readFacts(folder), metricsOf(folder));
