/** @file metrics.jsonl of a run folder: a line for every step, in the order in which they were done. All that is known of its lines is here. */

import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { EbbError } from '../errors.ts';
import { readText } from '../formats/files.ts';
import { isObject, type Json, type JsonObject, parseJson } from '../formats/json.ts';
import { writeTextAside } from '../formats/safetensors.ts';
import type { StepMetrics } from '../train/loop.ts';

/** The file of a run's metrics in its folder. */
export const METRICS = 'metrics.jsonl';

/** Files with more bytes are refused. */
const MOST_BYTES = 2 ** 30;

/** A line of a step, as far as all versions wrote it. Lines of this version are a `StepMetrics`. */
const storedStep = z.object({ step: z.int().nonnegative(), loss: z.number(), ms: z.number().nonnegative() });
export type StoredStep = Readonly<z.infer<typeof storedStep>>;

/** What is read of a run's metrics. */
export interface RunMetrics {
  /** Counted from 1, whatever version wrote them. */
  readonly steps: readonly StoredStep[];
}

/** Adds a line to the metrics of a run. */
export function appendMetrics(folder: string, line: StepMetrics): void {
  appendFileSync(join(folder, METRICS), `${JSON.stringify(line)}\n`);
}

/** The loss of the last step in the metrics of a run; NaN where there is none. */
export function lastLoss(folder: string): number {
  const file = join(folder, METRICS);
  if (!existsSync(file)) return Number.NaN;
  const line = readText(file, MOST_BYTES).trimEnd().split('\n').at(-1) ?? '';
  const found = lineOrNull(line);
  return isObject(found) && typeof found['loss'] === 'number' ? found['loss'] : Number.NaN;
}

/** Leaves the lines of the first `step` steps in the metrics of a run; a last line that was torn off is left out. */
export function cutMetrics(folder: string, step: number): void {
  const file = join(folder, METRICS);
  if (existsSync(file)) writeTextAside(file, linesUpTo(readText(file, MOST_BYTES), step));
}

/** Reads the metrics of a run. @throws EbbError naming the file, and the line that does not hold the metrics of a step */
export function readMetrics(folder: string): RunMetrics {
  const file = join(folder, METRICS);
  const steps = readText(file, MOST_BYTES)
    .split('\n')
    .flatMap((text, i, all): StoredStep[] => {
      // a run that was killed may have written only part of its last line
      if (text.trim() === '' || (i === all.length - 1 && !text.endsWith('}'))) return [];
      const found = storedStep.safeParse(parseJson(`${file}: line ${i + 1}`, text));
      if (!found.success) throw new EbbError(`${file}: line ${i + 1}: expected step, loss and ms of a step, found ${text.slice(0, 60)}`);
      return [found.data];
    });
  const first = firstStep(steps);
  return { steps: steps.map((line) => ({ ...line, step: line.step + first })) };
}

/** What is added to the steps of a file so that they count from 1. Version 0.1.0 counted steps from 0. */
const firstStep = (lines: readonly { readonly step: number }[]): number => (lines[0]?.step === 0 ? 1 : 0);

function linesUpTo(text: string, step: number): string {
  const lines = text.split('\n').flatMap((line): (JsonObject & { readonly step: number })[] => {
    const found = lineOrNull(line);
    return isObject(found) && typeof found['step'] === 'number' ? [{ ...found, step: found['step'] }] : [];
  });
  const first = firstStep(lines);
  const kept = lines.map((line) => ({ ...line, step: line.step + first })).filter((line) => line.step <= step);
  return kept.map((line) => `${JSON.stringify(line)}\n`).join('');
}

function lineOrNull(line: string): Json {
  try {
    return parseJson('metrics', line);
  } catch {
    return null;
  }
}
