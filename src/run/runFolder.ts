/** @file The folder of a run as it begins or goes on: what it may hold, and its config. Files are written aside and renamed. */

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { EbbError, option } from '../errors.ts';
import { fileError, makeFolder } from '../formats/files.ts';
import { writeTextAside } from '../formats/safetensors.ts';
import type { Engine } from '../runtime/execute.ts';
import type { RunConfig } from '../train/config.ts';
import type { TrainState } from '../train/loop.ts';
import { SUMMARY } from './account.ts';
import { CHECKPOINTS, checkpointNames } from './checkpointNames.ts';
import { loadCheckpoint, newestWhole, setBrokenAside } from './checkpoints.ts';
import { CONFIG, goingOn, storedConfig } from './earlierRun.ts';
import { IDENTITY, type Identity, PART_NAMES, storedIdentity } from './identity.ts';
import { refuseRunning } from './lock.ts';
import { cutMetrics, METRICS, readMetrics } from './metrics.ts';
import { MOMENT } from './moment.ts';
import type { GoingOn } from './openRun.ts';
import { checkOutFolder, type InputPath, inputsOf } from './outputs.ts';
import { removeRecord } from './record.ts';
import { BEST, EARLIER_RESULTS, isRunFolder, RESULT } from './results.ts';
import { schemaComment } from './runFile.ts';

export interface RunFolder {
  readonly path: string;
  /** The identity of the run that it holds and that goes on; null for a run that begins, and one of an earlier version. */
  readonly identity: Identity | null;
  /** Whether a run goes on that an earlier version began, which did not say what it depends on. */
  readonly isOlder: boolean;
  /**
   * Makes the folder and writes the config as resolved, and further files by name; a run that starts over begins its metrics anew. What a
   * killed run had half written is removed.
   */
  begin(config: RunConfig, identity: Omit<Identity, 'settings'>, files?: Readonly<Record<string, string>>): void;
  /** Says which error ended the run, for whoever looks at it later. */
  fail(step: number, error: unknown): void;
  /** Writes what `begin` wrote, where it is gone: a run whose folder is moved away goes on. Returns whether it was. @throws EbbError */
  restore(): boolean;
  /**
   * Loads the newest whole checkpoint into the engine, and cuts the metrics behind it; null where there is none to go on from.
   * @throws EbbError where no checkpoint is whole, and where it is of another model
   */
  resume(engine: Engine): Promise<TrainState | null>;
}

/** What may change when a run goes on; everything else would make it another run. */
const FREE: readonly string[] = [
  'steps',
  'epochs',
  'evalData',
  'evalEvery',
  'evalLimit',
  'keepBest',
  'patience',
  'saveEvery',
  'scheduleSteps',
  'out',
  'adapter',
  'device',
  'tune',
  'memoryBudget',
  'resultDtype',
];

/** Paths of what a run reads. Where a run folder says what these hold, the contents are compared, and the paths may be others. */
const BY_CONTENT: readonly string[] = ['model', 'weights', 'data', 'chatTemplate'];

/** The file that says which error ended a run. */
export const FAILURE = 'failure.json';

/** What a run writes in its folder. */
const PARTS: readonly string[] = [CONFIG, METRICS, SUMMARY, IDENTITY, FAILURE, 'schedules.json', MOMENT, CHECKPOINTS, 'profile', RESULT, BEST];

/** What a run reads. */
export function runInputs({ model, weights, data, evalData, lora }: Pick<RunConfig, 'model' | 'weights' | 'data' | 'evalData' | 'lora'>): InputPath[] {
  const from = lora === false ? undefined : lora.from;
  // a trainer without weights has no model to read
  return inputsOf({ model: model === '' ? undefined : model, weights, data, evalData, 'lora.from': from });
}

/**
 * Checks that a run may write its folder; nothing is written.
 * @param runFile the file its config was read from, which a run that goes on may have in its folder
 * @throws EbbError where another run is going on in it, when it holds a run already and that one is not resumed, where an input of the run would be written
 * over, and for what is said of going on where no run does
 */
export function checkRunFolder(config: RunConfig, { resume = false, accept, extend }: GoingOn, runFile?: string): void {
  const path = config.out;
  const idle = accept === undefined ? (extend === true ? 'extend' : null) : 'accept';
  if (!resume && idle !== null)
    throw new EbbError(`${option(idle)} is for a run that goes on; give ${option('resume')} too, or leave ${option(idle)} out`, 'config');
  const unknown = accept?.find((name) => !PART_NAMES.includes(name));
  if (unknown !== undefined) throw new EbbError(`${option('accept')}: found ${JSON.stringify(unknown)}, expected some of ${PART_NAMES.join(', ')}`, 'config');
  refuseRunning(path);
  refuseInsideRun(path);
  if (!resume && existsSync(join(path, METRICS)))
    throw new EbbError(`${path}: holds a run already; go on with it (${option('resume')}), or choose another folder (${option('out')})`, 'run');
  checkOutFolder(path, option('out'), PARTS, [...runInputs(config), ...inputsOf({ 'the run file': resume ? undefined : runFile })]);
}

/** @throws EbbError for a folder in what another run writes anew, or removes */
function refuseInsideRun(path: string): void {
  for (let place = resolve(path); dirname(place) !== place; place = dirname(place)) {
    const run = dirname(place);
    if (!isRunFolder(run) || !PARTS.includes(basename(place))) continue;
    throw new EbbError(`${option('out')} ${path}: lies in ${place}, which the run in ${run} writes; choose another folder`, 'config');
  }
}

/**
 * Opens a run's folder; nothing is written before `begin`.
 * @param say is told of what is broken in it
 * @throws EbbError for one that holds a run which was started with another config
 */
export function openRunFolder(path: string, resumes: boolean, config: RunConfig, say: (text: string) => void): RunFolder {
  const configFile = join(path, CONFIG);
  const holds = resumes && checkpointNames(path).length > 0;
  const identity = holds ? storedIdentity(path) : null;
  if (holds && !existsSync(configFile)) say(`${configFile}: is missing; the run goes on by what is given now`);
  if (holds && identity?.settings)
    checkSameRun(join(path, IDENTITY), identity.settings, settingsOf(existsSync(configFile) ? goingOn(configFile, config) : config));
  else if (holds && existsSync(configFile))
    checkSameRun(configFile, compared(storedConfig(configFile), identity !== null), settingsOf(goingOn(configFile, config), identity !== null));
  let from: Awaited<ReturnType<typeof newestWhole>> = null;
  /** Files that a run begins with. */
  let begun: Readonly<Record<string, string>> = {};
  return {
    path,
    identity,
    isOlder: holds && identity === null,
    begin(resolved, now, files = {}) {
      try {
        makeFolder(join(path, CHECKPOINTS));
        removePartial(path);
        if (from) setBrokenAside(path, now.run, from);
        else removeRecord(path);
        begun = {
          [CONFIG]: `${schemaComment(path)}${stringify(resolved)}`,
          [IDENTITY]: `${JSON.stringify({ ...now, settings: settingsOf(resolved) }, null, 2)}\n`,
          ...files,
        };
        writeFiles(path, begun);
        rmSync(join(path, FAILURE), { force: true });
      } catch (error) {
        throw fileError(path, error);
      }
      const earlier = EARLIER_RESULTS.filter((name) => existsSync(join(path, name)));
      for (const name of earlier) say(`${join(path, name)}: is what an earlier version left; what is trained from here on goes into ${join(path, RESULT)}`);
    },
    fail(step, error) {
      try {
        writeTextAside(join(path, FAILURE), `${JSON.stringify({ step, message: error instanceof Error ? error.message : String(error) })}\n`);
      } catch {
        // the disk may be what failed
      }
    },
    restore() {
      if (existsSync(join(path, IDENTITY))) return false;
      makeFolder(path);
      writeFiles(path, begun);
      return true;
    },
    async resume(engine) {
      if (!holds) return null;
      from = await newestWhole(path, identity?.run ?? null, say);
      if (from === null) return null;
      await loadCheckpoint(path, from, engine);
      cutMetrics(path, from.state.step);
      const lacking = from.state.step - (existsSync(join(path, METRICS)) ? readMetrics(path).steps.length : 0);
      if (lacking > 0) say(`${join(path, METRICS)}: lacks ${lacking} of the ${from.state.step} steps that are done; what it held of them is not written again`);
      return from.state;
    },
  };
}

function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeTextAside(join(folder, name), text);
}

/** Names of what is written aside: checkpoints, files of any module, and the best result. */
const PARTIAL = /(^step-\d+|^best|\.\d+)\.partial$/;
function removePartial(path: string): void {
  for (const folder of ['.', CHECKPOINTS, RESULT, BEST].map((name) => join(path, name)))
    if (existsSync(folder)) for (const name of readdirSync(folder)) if (PARTIAL.test(name)) rmSync(join(folder, name), { recursive: true, force: true });
}

/** A config as it is compared: without what may change. */
function compared(config: Readonly<Record<string, unknown>>, byContent: boolean): Readonly<Record<string, unknown>> {
  const left = [...FREE, ...(byContent ? BY_CONTENT : [])];
  const kept = Object.entries(config).filter(([key]) => !left.includes(key));
  const { lora } = config;
  if (!byContent || typeof lora !== 'object' || lora === null) return Object.fromEntries(kept);
  const { from: _from, ...settings } = lora as Readonly<Record<string, unknown>>;
  return { ...Object.fromEntries(kept), lora: settings };
}

/** A config in the form that files give it, as it is compared. */
const settingsOf = (config: RunConfig, byContent = true): Readonly<Record<string, unknown>> =>
  compared(z.record(z.string(), z.unknown()).parse(parse(stringify(config))), byContent);

/** @param file says what the run was started with @throws EbbError naming the first key whose value would make it another run */
function checkSameRun(file: string, before: Readonly<Record<string, unknown>>, now: Readonly<Record<string, unknown>>): void {
  // what was read of one file and of another has other prototypes
  const plain = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));
  for (const key of new Set([...Object.keys(now), ...Object.keys(before)])) {
    if (isDeepStrictEqual(plain(before[key]), plain(now[key]))) continue;
    const show = (value: unknown): string => (value === undefined ? 'not given' : JSON.stringify(value));
    throw new EbbError(
      `${key} is ${show(now[key])}, the run to resume was started with ${show(before[key])} (${file}); give the same, or start another run (${option('out')})`,
      'run',
    );
  }
}
