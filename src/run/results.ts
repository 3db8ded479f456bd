/**
 * @file What was trained, as it lies in a run's folder: `result/` of the newest checkpoint, `best/` of the lowest held-out loss. Either is a PEFT adapter, or
 * a model.
 */

import { copyFileSync, existsSync, linkSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolder } from '../formats/files.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { checkpointNames, checkpointPath, STATE } from './checkpointNames.ts';
import { CONFIG } from './earlierRun.ts';
import { METRICS } from './metrics.ts';

/** The folder of what was trained last, in a run's folder and in each checkpoint. */
export const RESULT = 'result';
/** The folder of what had the lowest held-out loss. */
export const BEST = 'best';
/** Where versions before 0.2 left what was trained. */
export const EARLIER_RESULTS: readonly string[] = ['adapter', 'model'];

const WEIGHTS: readonly string[] = ['adapter_model.safetensors', 'model.safetensors'];

/** The files of a folder and of those in it, by their paths in it. */
const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(folder, name)).isFile());

function isSame(a: string, b: string): boolean {
  const [one, other] = [statSync(a), statSync(b, { throwIfNoEntry: false })];
  return other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

/** Makes `to` another name of the file `from`, or a copy where the file system has no second names. */
function linkOrCopy(from: string, to: string): void {
  rmSync(to, { force: true });
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

/**
 * Makes a folder hold the files of another one: without a copy, and file by file, so that each of them is there as a whole at every moment.
 * @throws Error of the file system
 */
export function publish(from: string, to: string): void {
  makeFolder(to);
  const files = filesOf(from);
  for (const name of files) {
    // a second name of the same file would not be renamed
    if (isSame(join(from, name), join(to, name))) continue;
    makeFolder(dirname(join(to, name)));
    const aside = join(to, `${name}.${process.pid}.partial`);
    linkOrCopy(join(from, name), aside);
    renameSync(aside, join(to, name));
  }
  for (const name of filesOf(to)) if (!files.includes(name)) rmSync(join(to, name), { force: true });
}

/** What a folder of something trained says of itself. */
export interface TrainedMoment {
  /** Steps that were done. */
  readonly step: number;
  /** The held-out loss, where it was computed for this, and the hash of the data that it is of. */
  readonly heldOut: number | null;
  readonly evalData: string | null;
}

/** What stands in a file of weights about when it was written. */
export const momentMetadata = ({ step, heldOut, evalData }: TrainedMoment): Readonly<Record<string, string>> => ({
  format: 'pt',
  step: String(step),
  ...(heldOut === null ? {} : { heldOut: String(heldOut) }),
  ...(evalData === null ? {} : { evalData }),
});

/** When what lies in a folder was trained; null where it does not say, or holds nothing. */
export function trainedMoment(folder: string): TrainedMoment | null {
  const file = WEIGHTS.map((name) => join(folder, name)).find((path) => existsSync(path));
  if (file === undefined) return null;
  try {
    const { step, heldOut, evalData = null } = openSafetensors(file).metadata;
    return step === undefined ? null : { step: Number(step), heldOut: heldOut === undefined ? null : Number(heldOut), evalData };
  } catch {
    return null;
  }
}

const holdsWeights = (folder: string): boolean => WEIGHTS.some((name) => existsSync(join(folder, name)));

/** Whether a folder is that of a run. */
export const isRunFolder = (path: string): boolean =>
  existsSync(join(path, METRICS)) || (existsSync(join(path, CONFIG)) && existsSync(join(path, 'checkpoints')));

/**
 * Where what was trained lies: for a run's folder its result, for a checkpoint of a run what was trained until then, and any other path as it is. A run that was
 * killed before its result was renewed stands for what its result holds.
 */
export function trainedIn(path: string): string {
  if (existsSync(join(path, STATE)) && holdsWeights(join(path, RESULT))) return join(path, RESULT);
  if (!isRunFolder(path)) return path;
  const newest = checkpointNames(path).at(-1);
  const places = [RESULT, ...EARLIER_RESULTS].map((name) => join(path, name));
  if (newest !== undefined) places.push(join(checkpointPath(path, newest), RESULT));
  return places.find(holdsWeights) ?? path;
}
