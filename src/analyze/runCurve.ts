/** @file Reads the losses of a run folder, so that they can be shown beside those of other runs. */

import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { at, EbbError } from '../errors.ts';
import { readText } from '../formats/files.ts';
import { parseJson } from '../formats/json.ts';
import { readRunFile } from '../run/runFile.ts';
import type { Curve, CurvePoint } from './report.ts';

/** A longer run is shown by this many points, each the mean of neighbouring steps. */
const MOST_POINTS = 400;
/** Files with more bytes are refused. */
const MOST_BYTES = 2 ** 30;

/** A line of metrics.jsonl, as far as it is used here. */
const line = z.object({ step: z.int().nonnegative(), loss: z.number(), ms: z.number().nonnegative() });

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
  const file = join(folder, 'metrics.jsonl');
  const { drop } = readRunFile(join(folder, 'config.yaml'));
  let seconds = 0;
  const points = readText(file, MOST_BYTES)
    .split('\n')
    .flatMap((text, i, all): CurvePoint[] => {
      // a run that was killed may have written only part of its last line
      if (text.trim() === '' || (i === all.length - 1 && !text.endsWith('}'))) return [];
      const found = line.safeParse(parseJson(`${file}: line ${i + 1}`, text));
      if (!found.success) throw new EbbError(`${file}: line ${i + 1}: expected step, loss and ms of a step, found ${text.slice(0, 60)}`);
      const { step, loss, ms } = found.data;
      seconds += ms / 1000;
      return [{ step, seconds, loss }];
    });
  // Version 0.1.0 counted steps from 0.
  const first = points[0]?.step === 0 ? 1 : 0;
  const counted = points.map((point) => ({ ...point, step: point.step + first }));
  return { name: basename(resolve(folder)), drop: planText(drop), points: thinned(counted) };
}
