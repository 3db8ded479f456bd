/** @file The folder of a run: its config, metrics, checkpoints that resume, and the result. Files are written aside and renamed. */

import { appendFileSync, existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { EbbError, option } from '../errors.ts';
import { fileError, makeFolder, readText } from '../formats/files.ts';
import { isObject, type Json, type JsonObject, parseJson } from '../formats/json.ts';
import { openSafetensors, readTensor, type StreamedEntry, streamSafetensors, writeTextAside } from '../formats/safetensors.ts';
import { parseBy } from '../issues.ts';
import type { Engine } from '../runtime/execute.ts';
import { storedBytes } from '../runtime/lasting.ts';
import type { RunConfig } from '../train/config.ts';
import type { StepMetrics, TrainState } from '../train/loop.ts';
import { SUMMARY } from './account.ts';
import { CONFIG, goingOn, storedConfig } from './earlierRun.ts';
import { startUpload } from './engine.ts';
import { MOMENT } from './moment.ts';
import { checkOutFolder, type InputPath, inputsOf } from './outputs.ts';
import { schemaComment } from './runFile.ts';
import { namedWeights, type StoredTensor, startPieces, type Weights } from './startingValue.ts';

export interface RunFolder {
  readonly path: string;
  /**
   * Makes the folder and writes the config as resolved, and further files by name; a run that starts over begins its metrics anew. What a
   * killed run had half written is removed.
   */
  begin(config: RunConfig, files?: Readonly<Record<string, string>>): void;
  appendMetrics(metrics: StepMetrics): void;
  /** The loss of the last step in the metrics; NaN where there is none. */
  lastLoss(): number;
  saveCheckpoint(engine: Engine, state: TrainState): Promise<void>;
  /** Loads the newest complete checkpoint into the engine, and cuts the metrics behind it; null where there is none to go on from. */
  resume(engine: Engine): Promise<TrainState | null>;
}

const KEPT = 2;

/** What may change when a run goes on; everything else would make it another run. */
const FREE: readonly string[] = ['steps', 'epochs', 'evalData', 'evalEvery', 'evalLimit', 'saveEvery', 'out', 'adapter', 'device', 'tune', 'memoryBudget'];

const METRICS = 'metrics.jsonl';
/** What a run writes in its folder. */
const PARTS: readonly string[] = [CONFIG, METRICS, SUMMARY, 'schedules.json', MOMENT, 'checkpoints', 'profile', 'adapter', 'model'];

/** What a run reads. */
export function runInputs({ model, weights, data, evalData, lora }: Pick<RunConfig, 'model' | 'weights' | 'data' | 'evalData' | 'lora'>): InputPath[] {
  const from = lora === false ? undefined : lora.from;
  // a trainer without weights has no model to read
  return inputsOf({ model: model === '' ? undefined : model, weights, data, evalData, 'lora.from': from });
}

/**
 * Checks that a run may write its folder; nothing is written.
 * @param runFile the file its config was read from, which a run that goes on may have in its folder
 * @throws EbbError when it holds a run already and that one is not resumed, and where an input of the run would be written over
 */
export function checkRunFolder(path: string, resumes: boolean, config: RunConfig, runFile?: string): void {
  if (!resumes && existsSync(join(path, METRICS)))
    throw new EbbError(`${path}: holds a run already; go on with it (${option('resume')}), or choose another folder (${option('out')})`, 'run');
  checkOutFolder(path, option('out'), PARTS, [...runInputs(config), ...inputsOf({ 'the run file': resumes ? undefined : runFile })]);
}

/** The names of the complete checkpoints in a run's folder, the newest last. */
export function checkpointNames(path: string): string[] {
  const folder = join(path, 'checkpoints');
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => /^step-\d+$/.test(name))
        .sort()
    : [];
}

/**
 * Opens a run's folder; nothing is written before `begin`.
 * @throws EbbError as `checkRunFolder`, and when it holds a run that was started with another config
 */
export function openRunFolder(path: string, resumes: boolean, config: RunConfig): RunFolder {
  const metrics = join(path, METRICS);
  const configFile = join(path, CONFIG);
  checkRunFolder(path, resumes, config);
  const checkpoints = (): string[] => checkpointNames(path);
  const from = resumes ? checkpoints().at(-1) : undefined;
  if (from !== undefined && existsSync(configFile)) checkSameRun(configFile, config);
  return {
    path,
    begin(resolved, files = {}) {
      try {
        makeFolder(join(path, 'checkpoints'));
        removePartial(path);
      } catch (error) {
        throw fileError(path, error);
      }
      if (from === undefined) rmSync(metrics, { force: true });
      writeTextAside(configFile, `${schemaComment(path)}${stringify(resolved)}`);
      for (const [name, text] of Object.entries(files)) writeTextAside(join(path, name), text);
    },
    appendMetrics: (line) => appendFileSync(metrics, `${JSON.stringify(line)}\n`),
    lastLoss() {
      const line = existsSync(metrics)
        ? metricsLine(
            readText(metrics, 2 ** 30)
              .trimEnd()
              .split('\n')
              .at(-1) ?? '',
          )
        : null;
      return isObject(line) && typeof line['loss'] === 'number' ? line['loss'] : Number.NaN;
    },
    async saveCheckpoint(engine, state) {
      const name = `step-${String(state.step).padStart(8, '0')}`;
      const aside = join(path, 'checkpoints', `${name}.partial`);
      rmSync(aside, { recursive: true, force: true });
      makeFolder(aside);
      await streamSafetensors(join(aside, TENSORS), trainingTensors(engine));
      writeTextAside(join(aside, STATE), `${JSON.stringify(state)}\n`);
      rmSync(join(path, 'checkpoints', name), { recursive: true, force: true });
      renameSync(aside, join(path, 'checkpoints', name));
      for (const old of checkpoints().slice(0, -KEPT)) rmSync(join(path, 'checkpoints', old), { recursive: true, force: true });
    },
    async resume(engine) {
      if (from === undefined) return null;
      const folder = join(path, 'checkpoints', from);
      const state = readState(join(folder, STATE), engine.storage.groups.length);
      await readTraining(join(folder, TENSORS), engine);
      if (existsSync(metrics)) writeTextAside(metrics, linesUpTo(readText(metrics, 2 ** 30), state.step));
      return state;
    },
  };
}

/** Names of what is written aside, by this module and by formats/safetensors.ts. */
const PARTIAL = /(^step-\d+|\.\d+)\.partial$/;
function removePartial(path: string): void {
  for (const folder of ['.', 'checkpoints', 'adapter', 'model'].map((name) => join(path, name)))
    if (existsSync(folder)) for (const name of readdirSync(folder)) if (PARTIAL.test(name)) rmSync(join(folder, name), { recursive: true, force: true });
}

const STATE = 'state.json';
/** The file of a checkpoint's parameters and moments. */
export const TENSORS = 'training.safetensors';

/** @throws EbbError naming the first key whose value would make it another run */
function checkSameRun(file: string, config: RunConfig): void {
  const before = storedConfig(file);
  // written and read once more, so that both have the same form
  const now = z.record(z.string(), z.unknown()).parse(parse(stringify(goingOn(file, config))));
  for (const key of new Set([...Object.keys(now), ...Object.keys(before)])) {
    if (FREE.includes(key) || isDeepStrictEqual(before[key], now[key])) continue;
    const show = (value: unknown): string => (value === undefined ? 'not given' : JSON.stringify(value));
    throw new EbbError(
      `${key} is ${show(now[key])}, the run to resume was started with ${show(before[key])} (${file}); give the same, or start another run (${option('out')})`,
      'run',
    );
  }
}

const count = z.int().nonnegative();

/** @throws EbbError naming the file and every field that is wrong */
function readState(file: string, groups: number): TrainState {
  const state = z.strictObject({ step: count, updates: z.array(count).length(groups), sensitivities: z.array(z.number()).optional() });
  const hint = 'the checkpoint is of another model or adapter, or broken: remove its folder to resume from the one before';
  return parseBy(state, parseJson(file, readText(file)), file, hint);
}

/** What of a trainable parameter a checkpoint holds, and what it is called there. */
export const kindsOf = (engine: Pick<Engine, 'memory'>): readonly ('params' | 'm' | 'v')[] => [
  'params',
  ...(['m', 'v'] as const).filter((kind) => kind in engine.memory),
];
const tensorName = (param: string, kind: 'params' | 'm' | 'v'): string => (kind === 'params' ? param : `${kind}.${param}`);

/** Loads parameters and moments, piece by piece. @throws EbbError naming the file and the tensor that is missing or does not fit */
async function readTraining(path: string, engine: Engine): Promise<void> {
  const file = openSafetensors(path);
  const { tensors } = namedWeights(path, file.tensors, ({ name }, offset, length) => readTensor(file, name, offset, length));
  // nothing is written unless everything fits
  const fitting = engine.program.params.flatMap((p, i) =>
    p.trainable ? kindsOf(engine).map((kind) => ({ p, i, kind, tensor: fittingTensor(path, tensors, tensorName(p.name, kind), p.shape) })) : [],
  );
  const upload = startUpload(engine);
  for (const { p, i, kind, tensor } of fitting)
    await upload.write(tensor.name, startPieces(p, { kind: 'stored', path, tensor }, 0), storedBytes(p), (data, offset) =>
      kind === 'params' ? engine.writeParam(i, data, offset) : engine.writeMoment(i, kind, data, offset),
    );
  await upload.finish();
}

function fittingTensor(path: string, tensors: Weights['tensors'], name: string, shape: readonly number[]): StoredTensor {
  const found = tensors.get(name);
  if (!found) throw new EbbError(`${path}: has no tensor ${name}; the run was started with another model, adapter or optimizer`, 'run');
  if (found.shape.join() === shape.join()) return found;
  throw new EbbError(
    `${path}: tensor ${name} has shape [${found.shape.join(', ')}], expected [${shape.join(', ')}]; the run was started with another model or adapter`,
    'run',
  );
}

/** The lines of the first `step` steps; a last line that was torn off is left out. */
function linesUpTo(text: string, step: number): string {
  const lines = text.split('\n').flatMap((line): (JsonObject & { readonly step: number })[] => {
    const found = metricsLine(line);
    return isObject(found) && typeof found['step'] === 'number' ? [{ ...found, step: found['step'] }] : [];
  });
  // Version 0.1.0 counted steps from 0.
  const first = lines[0]?.step === 0 ? 1 : 0;
  const kept = lines.map((line) => ({ ...line, step: line.step + first })).filter((line) => line.step <= step);
  return kept.map((line) => `${JSON.stringify(line)}\n`).join('');
}

function metricsLine(line: string): Json {
  try {
    return parseJson('metrics', line);
  } catch {
    return null;
  }
}

/** Trainable parameters and their moments, to be written. */
function trainingTensors(engine: Pick<Engine, 'program' | 'memory' | 'readPieces'>): StreamedEntry[] {
  return engine.program.params.flatMap((p, i) => {
    if (!p.trainable) return [];
    return kindsOf(engine).map(
      (kind): StreamedEntry => ({ name: tensorName(p.name, kind), dtype: 'F32', shape: p.shape, pieces: () => engine.readPieces(i, kind) }),
    );
  });
}
