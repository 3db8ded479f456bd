/** @file The free space of a disk, asked before something large is written. */

import { existsSync, statfsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { EbbError, option } from '../errors.ts';
import { bytesText } from '../formats/bytes.ts';

/** Bytes that may still be written below a path; null where the file system does not say. */
export function freeBytes(path: string): number | null {
  let place = resolve(path);
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
  try {
    const { bavail, bsize, blocks } = statfsSync(place);
    // some network disks know nothing of themselves
    return blocks === 0 ? null : bavail * bsize;
  } catch {
    return null;
  }
}

/**
 * Checks that a disk takes what a run is to leave. @param each bytes of a checkpoint with what was trained @param most bytes of all that the run keeps at once
 * @param say is told where it may get tight
 * @throws EbbError where not even one checkpoint fits
 */
export function checkSpace(folder: string, each: number, most: number, say: (text: string) => void): void {
  const free = freeBytes(folder);
  if (free === null || free >= most) return;
  const has = `${folder}: its disk has ${bytesText(free)} free`;
  if (free < each)
    throw new EbbError(
      `${has}, and a checkpoint of this run takes ${bytesText(each)}; make room, or choose a folder on another disk (${option('out')})`,
      'file',
    );
  say(`${has}, and what the run keeps takes up to ${bytesText(most)}: older checkpoints are removed early, or left out, where it gets full`);
}
