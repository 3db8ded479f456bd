/** @file When a run began. Chat templates may tell the time; a run that goes on tells the same one, so that it learns the same. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readText } from '../formats/files.ts';
import { parseJson } from '../formats/json.ts';
import { parseBy } from '../issues.ts';

/** The file of the moment in a run's folder. */
export const MOMENT = 'started.json';

/** Local time as clocks show it, whatever zone a run goes on in. */
const SCHEMA = z.strictObject({ started: z.iso.datetime({ local: true, offset: false }) });

/** The moment that a run's folder holds, or now. @throws EbbError for a file that holds none */
export function momentOf(folder: string): Date {
  const file = join(folder, MOMENT);
  return existsSync(file)
    ? new Date(parseBy(SCHEMA, parseJson(file, readText(file)), file, 'remove it, and templates tell the time of now').started)
    : new Date();
}

/** A moment as its file holds it. */
export function momentText(moment: Date): string {
  const utc = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  return `${JSON.stringify({ started: utc.toISOString().replace('Z', '') })}\n`;
}
