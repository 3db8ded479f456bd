/**
 * @file metrics.jsonl of a run folder: a line for every step and every held-out loss, in the order in which they were computed. All that is known of
 * its lines is here.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { EbbError } from '../errors.ts';
import { readText } from '../formats/files.ts';
import { isObject, type JsonObject, parseJson, parseJsonObject } from '../formats/json.ts';
import { writeTextAside } from '../formats/safetensors.ts';
import type { StepMetrics } from '../train/loop.ts';

/** The file of a run's metrics in its folder. */
export const METRICS = 'metrics.jsonl';

/** The line of a held-out loss in metrics.jsonl. */
export interface HeldOutMetrics {
  /** Steps that were done when it was computed; 0 is before training. */
  readonly step: number;
  /** The mean over the tokens of the run's evalData, with nothing dropped; NaN, written as null, where that is no number. */
  readonly heldOut: number;
}

/** A line of metrics.jsonl. */
export type MetricsLine = StepMetrics | HeldOutMetrics;

/** Whether a line is that of a step. */
export const isStep = (line: MetricsLine): line is StepMetrics => !('heldOut' in line);

/** The bytes of a line in the file. */
export const lineBytes = (line: MetricsLine): Uint8Array => new TextEncoder().encode(`${JSON.stringify(line)}\n`);

/** Files with more bytes are refused. */
const MOST_BYTES = 2 ** 30;

const units = z.array(z.array(z.string())).optional();
/** A line of a step, as far as it is read. What is optional is in all lines that Ebb writes; people's own files may lack it. */
const storedStep = z.object({
  step: z.int().nonnegative(),
  loss: z.number(),
  ms: z.number().nonnegative(),
  lr: z.number().optional(),
  gradNorm: z.number().optional(),
  tokens: z.number().nonnegative().optional(),
  dropped: units,
  skipped: units,
  peakBytes: z.number().nonnegative().optional(),
});
const storedHeldOut = z.object({
  step: z.int().nonnegative(),
  heldOut: z
    .number()
    .nullable()
    .transform((loss) => loss ?? Number.NaN),
});

/** What is read of the line of a step. */
export type StoredStep = Readonly<z.infer<typeof storedStep>>;

/** What is read of a run's metrics. */
export interface RunMetrics {
  /** Counted from 1, whatever version wrote them. */
  readonly steps: readonly StoredStep[];
  /** By step; of several losses at a step, such as before and after a resume, the last. */
  readonly heldOut: readonly HeldOutMetrics[];
}

/** A line that was read. */
export type ReadLine = StoredStep | HeldOutMetrics;

/** Reads a line. @throws EbbError which begins with `where` */
export function readLine(where: string, text: string): ReadLine {
  const json = parseJson(where, text);
  const found = isObject(json) && 'heldOut' in json ? storedHeldOut.safeParse(json) : storedStep.safeParse(json);
  if (found.success) return found.data;
  throw new EbbError(`${where}: expected step, loss and ms of a step, or step and heldOut of a held-out loss, found ${text.slice(0, 60)}`, 'run');
}

/** The metrics in lines that were read. */
export function gathered(lines: readonly ReadLine[]): RunMetrics {
  const steps = lines.flatMap((line) => ('heldOut' in line ? [] : [line]));
  const heldOut = new Map(lines.flatMap((line) => ('heldOut' in line ? [[line.step, line] as const] : [])));
  const first = firstStep(steps);
  return {
    steps: first === 0 ? steps : steps.map((line) => ({ ...line, step: line.step + first })),
    heldOut: [...heldOut.values()].sort((a, b) => a.step - b.step),
  };
}

/** Reads the metrics of a run. @throws EbbError naming the file, and the line that cannot be read */
export function readMetrics(folder: string): RunMetrics {
  const file = join(folder, METRICS);
  const texts = readText(file, MOST_BYTES).split('\n');
  return gathered(
    texts.flatMap((text, i) =>
      // a run that was killed may have written only part of its last line
      text.trim() === '' || (i === texts.length - 1 && !text.endsWith('}')) ? [] : [readLine(`${file}: line ${i + 1}`, text)],
    ),
  );
}

/** Leaves the lines up to `step` in the metrics of a run; those that were torn off are left out. */
export function cutMetrics(folder: string, step: number): void {
  const file = join(folder, METRICS);
  if (existsSync(file)) writeTextAside(file, linesUpTo(readText(file, MOST_BYTES), step));
}

/** What is added to the steps of a file so that they count from 1. Version 0.1.0 counted steps from 0. */
const firstStep = (lines: readonly { readonly step: number }[]): number => (lines[0]?.step === 0 ? 1 : 0);

/** A line that can be read, with all that stands in it. */
type Line = JsonObject & { readonly step: number };

function linesUpTo(text: string, step: number): string {
  const lines = text.split('\n').flatMap((line) => keptLine(line) ?? []);
  const isHeldOut = (line: Line): boolean => 'heldOut' in line;
  const first = firstStep(lines.filter((line) => !isHeldOut(line)));
  return lines
    .map((line) => (isHeldOut(line) ? line : { ...line, step: line.step + first }))
    .filter((line) => line.step <= step)
    .map((line) => `${JSON.stringify(line)}\n`)
    .join('');
}

/** A line as it is, or null where it cannot be read. */
function keptLine(text: string): Line | null {
  try {
    const { step } = readLine(METRICS, text);
    return { ...parseJsonObject(METRICS, text), step };
  } catch {
    return null;
  }
}
