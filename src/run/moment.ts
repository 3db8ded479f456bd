/** @file When a run began. Chat templates may tell the time; a run that goes on tells the same one, so that it learns the same. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { readText } from '../formats/files.ts';
import { isObject, parseJson } from '../formats/json.ts';

/** The file of the moment in a run's folder. */
export const MOMENT = 'started.json';

/** The moment that a run's folder holds, or now. @throws EbbError for a file that holds none */
export function momentOf(folder: string): Date {
  const file = join(folder, MOMENT);
  if (!existsSync(file)) return new Date();
  const held = parseJson(file, readText(file));
  const started = isObject(held) ? held['started'] : undefined;
  const moment = new Date(typeof started === 'string' ? started : Number.NaN);
  if (!Number.isNaN(moment.getTime())) return moment;
  throw new EbbError(
    `${file}: started is ${show(started)}, expected a local time such as 2026-03-05T14:07:09.123; without the file, templates tell the time of now`,
    'run',
  );
}

/** A moment as its file holds it: local time as clocks show it, whatever zone a run goes on in. */
export function momentText(moment: Date): string {
  const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  return `${JSON.stringify({ started: local.toISOString().replace('Z', '') })}\n`;
}
