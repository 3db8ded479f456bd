/** @file Reads the losses of a run folder, so that they can be shown beside those of other runs. */

import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { at } from '../errors.ts';
import { readMetrics } from '../run/metrics.ts';
import { readRunFile } from '../run/runFile.ts';
import type { Curve, CurvePoint } from './report.ts';

/** A longer run is shown by this many points, each the mean of neighbouring steps. */
const MOST_POINTS = 400;
/** A drop plan in a few words, such as `uniform, rate 0.5, weights`: its kind, and its keys whose value is a word, a number or true. */
function planText(drop: unknown): string {
  const { kind = 'none', ...keys } = z.record(z.string(), z.unknown()).catch({}).parse(drop);
  const words = Object.entries(keys).flatMap(([key, value]) =>
    value === true ? [key] : typeof value === 'number' || typeof value === 'string' ? [`${key} ${value}`] : [],
  );
  return [String(kind), ...words].join(', ');
}

/** At most MOST_POINTS points. */
function thinned(points: readonly CurvePoint[]): readonly CurvePoint[] {
  const of = Math.ceil(points.length / MOST_POINTS);
  if (of === 1) return points;
  return Array.from({ length: Math.ceil(points.length / of) }, (_, i): CurvePoint => {
    const part = points.slice(i * of, (i + 1) * of);
    return { ...at(part, -1), loss: part.reduce((sum, p) => sum + p.loss, 0) / part.length };
  });
}

/** Reads config.yaml and metrics.jsonl of a run folder. @throws EbbError naming the file, and the line that does not hold the metrics of a step */
export function readCurve(folder: string): Curve {
  const { drop } = readRunFile(join(folder, 'config.yaml'));
  let seconds = 0;
  const points = readMetrics(folder).steps.map(({ step, loss, ms }): CurvePoint => {
    seconds += ms / 1000;
    return { step, seconds, loss };
  });
  return { name: basename(resolve(folder)), drop: planText(drop), points: thinned(points) };
}
