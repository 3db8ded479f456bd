/** @file Reads the losses of a run as curves. */

import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { at } from '../errors.ts';
import type { Curve, CurvePoint } from './curve.ts';
import { CONFIG } from './earlierRun.ts';
import { type RunMetrics, readMetrics, type StoredStep } from './metrics.ts';
import { readRunFile } from './runFile.ts';

/** A longer run is shown by this many points, each the mean of neighbouring steps. */
const MOST_POINTS = 400;

/** A drop plan in a few words, such as `uniform, rate 0.5, weights`: its kind, and its keys whose value is a word, a number or true. */
export function planText(drop: unknown): string {
  const { kind = 'none', ...keys } = z.record(z.string(), z.unknown()).catch({}).parse(drop);
  const words = Object.entries(keys).flatMap(([key, value]) =>
    value === true ? [key] : typeof value === 'number' || typeof value === 'string' ? [`${key} ${value}`] : [],
  );
  return [String(kind), ...words].join(', ');
}

/** At most MOST_POINTS points. */
function thinned(points: readonly CurvePoint[]): readonly CurvePoint[] {
  const of = Math.ceil(points.length / MOST_POINTS);
  if (of <= 1) return points;
  return Array.from({ length: Math.ceil(points.length / of) }, (_, i): CurvePoint => {
    const part = points.slice(i * of, (i + 1) * of);
    return { ...at(part, -1), loss: part.reduce((sum, p) => sum + p.loss, 0) / part.length };
  });
}

/** The points of steps in their order. */
function pointsOf(steps: readonly StoredStep[]): CurvePoint[] {
  let seconds = 0;
  return steps.map(({ step, loss, ms }) => {
    seconds += ms / 1000;
    return { step, seconds, loss };
  });
}

/** The curves of a run's metrics. */
export function curvesOf({ steps, heldOut }: RunMetrics): Pick<Curve, 'points' | 'heldOut'> {
  const points = pointsOf(steps);
  const seconds = new Map(points.map((point) => [point.step, point.seconds]));
  // evaluations take no time of training; one before the first step that is known is at the start
  const after = heldOut
    .filter(({ heldOut: loss }) => Number.isFinite(loss))
    .map(({ step, heldOut: loss }): CurvePoint => ({ step, seconds: seconds.get(step) ?? 0, loss }));
  return { points: thinned(points), heldOut: after };
}

/** Reads config.yaml and metrics.jsonl of a run folder. @throws EbbError naming the file, and the line that cannot be read */
export function readCurve(folder: string): Curve {
  const { drop } = readRunFile(join(folder, CONFIG));
  return { name: basename(resolve(folder)), drop: planText(drop), ...curvesOf(readMetrics(folder)) };
}
