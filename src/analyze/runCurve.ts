/** @file A run folder's losses, read back to be looked at beside others. */

import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { EbbError } from '../errors.ts';
import { readText } from '../formats/files.ts';
import { parseJson } from '../formats/json.ts';
import { readRunFile } from '../run/runFile.ts';
import type { Curve, CurvePoint } from './report.ts';

/** Longer runs are told by so many points, each the mean of neighbours. */
const MOST_POINTS = 400;
const MOST_BYTES = 2 ** 30;

const line = z.object({ step: z.int().nonnegative(), loss: z.number(), ms: z.number().nonnegative() });

/** `uniform, rate 0.5, weights`: what of a plan is a word or a number. */
function planText(drop: unknown): string {
  const { kind = 'none', ...keys } = z.record(z.string(), z.unknown()).catch({}).parse(drop);
  const words = Object.entries(keys).flatMap(([key, value]) =>
    value === true ? [key] : typeof value === 'number' || typeof value === 'string' ? [`${key} ${value}`] : [],
  );
  return [String(kind), ...words].join(', ');
}

function thinned(points: readonly CurvePoint[]): readonly CurvePoint[] {
  const of = Math.ceil(points.length / MOST_POINTS);
  if (of === 1) return points;
  return Array.from({ length: Math.ceil(points.length / of) }, (_, i): CurvePoint => {
    const part = points.slice(i * of, (i + 1) * of);
    const last = part.at(-1) as CurvePoint;
    return { ...last, loss: part.reduce((sum, p) => sum + p.loss, 0) / part.length };
  });
}

/** Reads config.yaml and metrics.jsonl of a run folder. @throws EbbError naming the file, and the line that is no line of metrics */
export function readCurve(folder: string): Curve {
  const file = join(folder, 'metrics.jsonl');
  const { drop } = readRunFile(join(folder, 'config.yaml'));
  let seconds = 0;
  const points = readText(file, MOST_BYTES)
    .split('\n')
    .flatMap((text, i, all): CurvePoint[] => {
      // the last line of a run that was cut off may be torn
      if (text.trim() === '' || (i === all.length - 1 && !text.endsWith('}'))) return [];
      const found = line.safeParse(parseJson(`${file}: line ${i + 1}`, text));
      if (!found.success) throw new EbbError(`${file}: line ${i + 1}: expected step, loss and ms of a step, found ${text.slice(0, 60)}`);
      const { step, loss, ms } = found.data;
      seconds += ms / 1000;
      return [{ step, seconds, loss }];
    });
  return { name: basename(resolve(folder)), drop: planText(drop), points: thinned(points) };
}
