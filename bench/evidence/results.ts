/** @file What runs came to, compact: read from their folders, and kept as JSON beside the page so that it can be made again without them. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { DropPlanConfig } from '../../src/index.ts';
import type { RunConfig } from '../../src/train/config.ts';
import type { Measured, StepMetrics } from '../../src/train/loop.ts';
import { mean } from '../stats.ts';
import { type Evaluation, FILES, type Finished } from './run.ts';
import { TIMES, type Times } from './times.ts';

export interface RunResult {
  readonly setting: string;
  readonly seed: number;
  readonly drop: DropPlanConfig;
  readonly steps: number;
  /** Why it ended early. */
  readonly failed?: string;
  readonly evaluations: readonly Evaluation[];
  /** Training loss, the mean of every `SPAN` steps. */
  readonly losses: readonly number[];
  /** Of the whole run. */
  readonly forwardFlops: number;
  readonly backwardFlops: number;
  /** Kept from forward to backward, the mean of the steps. */
  readonly savedBytes: number;
  /** Measuring sensitivities, and what a forward and backward for each unit and one more would have cost. */
  readonly probe?: { readonly flops: number; readonly officialFlops: number };
}

export interface Results {
  readonly runs: readonly RunResult[];
  readonly times: Times | null;
}

export const SPAN = 10;
const DIGITS = 6;

const rounded = (value: number): number => Number(value.toPrecision(DIGITS));

function jsonLines<T>(file: string): T[] {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
}

const jsonFile = <T>(file: string): T | null => (existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : null);

/** A finished run, or null. */
function readRun(folder: string, setting: string, seed: number): RunResult | null {
  const finished = jsonFile<Finished>(join(folder, FILES.finished));
  if (!finished) return null;
  const { drop } = parse(readFileSync(join(folder, 'config.yaml'), 'utf8')) as RunConfig;
  const metrics = jsonLines<StepMetrics>(join(folder, FILES.metrics));
  const measured = jsonFile<Measured>(join(folder, FILES.measured));
  // a run that was cut off after an evaluation does it again
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

/** Finished runs under `runs`, and times where they were measured; null where there is no such folder. */
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

/** What a page was made of before; null where there is none. */
export const readResults = (file: string): Results | null => jsonFile<Results>(file);

/** A run a line. */
export function writeResults(file: string, { runs, times }: Results): void {
  const lines = runs.map((run) => JSON.stringify(run)).join(',\n');
  const round = (values: readonly number[]): number[] => values.map(rounded);
  const timed = times && {
    probeMs: round(times.probeMs),
    settings: times.settings.map((s) => ({ name: s.name, ms: round(s.ms), flops: s.flops })),
  };
  writeFileSync(file, `{"runs": [\n${lines}\n],\n"times": ${JSON.stringify(timed)}}\n`);
}
