/** @file The results of runs in a compact form. They are read from the folders of the runs, and kept as JSON beside the page, so that it can be written again without those folders. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type DropPlanConfig, isStep, type Measured, type MetricsLine, type RunConfig, type StepMetrics } from '../../src/index.ts';
import { mean } from '../stats.ts';
import { type Evaluation, FILES, type Finished } from './run.ts';
import { TIMES, type Times } from './times.ts';

/** The result of one run. */
export interface RunResult {
  readonly setting: string;
  readonly seed: number;
  readonly drop: DropPlanConfig;
  readonly steps: number;
  /** Why the run ended before its last step, if it did. */
  readonly failed?: string;
  readonly evaluations: readonly Evaluation[];
  /** The training loss: a mean for every `SPAN` steps. */
  readonly losses: readonly number[];
  /** FLOPs of the whole run, as are those of the backwards. */
  readonly forwardFlops: number;
  readonly backwardFlops: number;
  /** The bytes that a step keeps from forward to backward, in the mean. */
  readonly savedBytes: number;
  /** The FLOPs of measuring sensitivities, and those of the reference code's way: a forward and backward for each unit and one more. */
  readonly probe?: { readonly flops: number; readonly officialFlops: number };
}

export interface Results {
  readonly runs: readonly RunResult[];
  readonly times: Times | null;
}

/** A loss is kept for this many steps together. */
export const SPAN = 10;
/** Digits that are kept of a number. */
const DIGITS = 6;

const rounded = (value: number): number => Number(value.toPrecision(DIGITS));

/** The values of a file with one JSON value a line; none where the file does not exist. */
function jsonLines<T>(file: string): T[] {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
}

/** The value of a JSON file, or null where it does not exist. */
const jsonFile = <T>(file: string): T | null => (existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : null);

/** Reads a finished run. Null for a run that is not finished. */
function readRun(folder: string, setting: string, seed: number): RunResult | null {
  const finished = jsonFile<Finished>(join(folder, FILES.finished));
  if (!finished) return null;
  const { drop } = parse(readFileSync(join(folder, 'config.yaml'), 'utf8')) as RunConfig;
  const metrics = jsonLines<MetricsLine>(join(folder, FILES.metrics)).filter(isStep);
  const measured = jsonFile<Measured>(join(folder, FILES.measured));
  // a run that was stopped after an evaluation repeats it when it goes on
  const evaluations = [...new Map(jsonLines<Evaluation>(join(folder, FILES.evaluations)).map((e) => [e.step, e])).values()];
  const spans = Array.from({ length: Math.floor(metrics.length / SPAN) }, (_, k) => metrics.slice(k * SPAN, (k + 1) * SPAN));
  const total = (of: (m: StepMetrics) => number): number => metrics.reduce((sum, m) => sum + of(m), 0);
  return {
    setting,
    seed,
    drop,
    ...finished,
    evaluations: evaluations.map(({ step, heldOut, train }) => ({ step, heldOut: rounded(heldOut), train: rounded(train) })),
    losses: spans.map((span) => rounded(mean(span.map((m) => m.loss)))),
    forwardFlops: total((m) => m.forwardFlops),
    backwardFlops: total((m) => m.backwardFlops),
    savedBytes: Math.round(total((m) => m.savedBytes) / metrics.length),
    ...(measured ? { probe: { flops: measured.flops, officialFlops: measured.officialFlops } } : {}),
  };
}

const folders = (path: string): string[] =>
  existsSync(path) ? readdirSync(path, { withFileTypes: true }).flatMap((d) => (d.isDirectory() ? [d.name] : [])) : [];

/** Reads the finished runs under `runs`, and the times if they were measured. Null where there is no such folder. */
export function collect(runs: string): Results | null {
  if (!existsSync(runs)) return null;
  const found = folders(runs).flatMap((setting) =>
    folders(join(runs, setting)).flatMap((name) => {
      const run = readRun(join(runs, setting, name), setting, Number(name.replace('seed-', '')));
      return run ? [run] : [];
    }),
  );
  return { runs: found, times: jsonFile<Times>(join(runs, TIMES)) };
}

/** Reads the results that are kept beside a page. Null where there are none. */
export const readResults = (file: string): Results | null => jsonFile<Results>(file);

/** Writes results, with one run a line. */
export function writeResults(file: string, { runs, times }: Results): void {
  const lines = runs.map((run) => JSON.stringify(run)).join(',\n');
  const round = (values: readonly number[]): number[] => values.map(rounded);
  const timed = times && {
    probeMs: round(times.probeMs),
    settings: times.settings.map((s) => ({ name: s.name, ms: round(s.ms), flops: s.flops })),
  };
  writeFileSync(file, `{"runs": [\n${lines}\n],\n"times": ${JSON.stringify(timed)}}\n`);
}
