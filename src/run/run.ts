/** @file A run from a config to its folder, over a compiled model: what `ebb train` and every generated trainer do. */

import { createDropPlan } from '../dropbp/plans/index.ts';
import { EbbError } from '../errors.ts';
import { holdsRecords } from '../formats/dataset.ts';
import type { Device } from '../runtime/device.ts';
import type { DispatchTime } from '../runtime/dispatchTimes.ts';
import type { Engine } from '../runtime/execute.ts';
import type { InputDecl } from '../runtime/program.ts';
import type { BatchSource } from '../train/batches.ts';
import type { RunConfig } from '../train/config.ts';
import { evaluate, newState, planModel, type StepMetrics, type TrainerOptions, type TrainState, trainSteps, unitsOf } from '../train/loop.ts';
import type { TrainableModel } from '../train/model.ts';
import { checkPositions } from './batchFiles.ts';
import { type BatchSizes, type LoadedData, type OpenedData, openData, readySizes } from './data.ts';
import { startEngine } from './engine.ts';
import { MOMENT, momentOf, momentText } from './moment.ts';
import { prepare } from './prepare.ts';
import { pieces, tell, type Watch } from './progress.ts';
import { writeResult } from './result.ts';
import { openRunFolder } from './runFolder.ts';
import { memoryText, planRunMemory } from './runMemory.ts';
import type { DiskWeights } from './weights.ts';

/** What became of a run. */
export interface TrainReport {
  /** The run's folder. */
  readonly out: string;
  /** The folder of the adapter or the model that was trained; null where the run was interrupted. */
  readonly result: string | null;
  readonly steps: number;
  readonly loss: number;
  readonly heldOut: { readonly before: number; readonly after: number } | null;
  readonly interrupted: boolean;
}

/** How a run is watched. Its signal ends it after the step that is under way, with a checkpoint. */
export interface TrainHooks extends Watch {
  readonly resume?: boolean;
  /** Steps to time dispatch by dispatch, counted from where the run starts, and who is told. */
  readonly timed?: { readonly steps: number; readonly report: (step: number, times: readonly DispatchTime[]) => void };
}

/** The data of a run, and the held-out data if there is any. */
export interface LoadedRunData {
  readonly train: LoadedData;
  readonly held: LoadedData | null;
}

/** The data of a run while it may still be tokenised. */
export interface RunData {
  /** Most sequences and tokens of a batch. */
  readonly batch: number;
  readonly length: number;
  /** What is to be said of it before the run. */
  readonly notes: readonly string[];
  /** When the run began: the time that chat templates tell. */
  readonly moment: Date;
  /** @throws EbbError naming the file and what is wrong with it */
  readonly loaded: Promise<LoadedRunData>;
  /** Ends what is still being prepared. */
  end(): void;
}

export interface DataSubject {
  readonly inputs: readonly InputDecl[];
  readonly vocabSize: number | null;
  readonly maxPosition: number | null;
  /** Where the tokenizer is. @throws EbbError where there is none */
  readonly tokenizer: () => string;
  /** Sizes of a run where nothing is asked for; default those of `run.yaml`. */
  readonly usual?: BatchSizes;
}

/** Sizes of a micro-batch where `run.yaml` says nothing. */
export const USUAL_SIZES: BatchSizes = { batch: 1, length: 256 };

/** What is to be said of keys that change nothing in a run with this data. */
function unreadKeys({ data, evalData, evalEvery, fields, chatTemplate, steps, epochs }: RunConfig): string[] {
  const records = holdsRecords(data) || (evalData !== undefined && holdsRecords(evalData));
  return [
    ...(steps !== undefined && epochs !== undefined ? [`steps (${steps}) are given, so epochs (${epochs}) changes nothing`] : []),
    ...(evalEvery > 0 && evalData === undefined ? [`evalEvery is ${evalEvery}, but there is no evalData, so nothing is evaluated`] : []),
    ...(Object.keys(fields).length > 0 && !records ? [`fields names fields of records, but ${data} holds none, so it changes nothing`] : []),
    ...(chatTemplate !== undefined && !records ? [`chatTemplate renders conversations, but ${data} holds none, so it changes nothing`] : []),
  ];
}

/** Opens the data of a run; what has to be tokenised is being tokenised then. @throws EbbError naming the file and what is wrong with it */
export function openRunData(config: RunConfig, subject: DataSubject): RunData {
  const { inputs, vocabSize, maxPosition, tokenizer, usual = USUAL_SIZES } = subject;
  const { batch: asked, length: longest, seed, fields, chatTemplate } = config;
  const moment = momentOf(config.out);
  const common = { batch: asked, length: longest, seed, inputs, vocabSize, fields, chatTemplate, now: moment };
  const preparation = prepare();
  const open = (path: string, options: { readonly shuffle: boolean; readonly limit?: number }): OpenedData => {
    const opened = openData(path, tokenizer, { ...common, ...options }, preparation);
    checkPositions(path, opened.length, maxPosition);
    return opened;
  };
  try {
    const train = open(config.data, { shuffle: config.shuffle });
    const held = config.evalData === undefined ? null : open(config.evalData, { shuffle: false, limit: config.evalLimit });
    // sizes that were asked for may be meant for the one of both that comes without
    const note = train.isReady && (held === null || held.isReady) ? readySizes(config.data, train, config, usual) : null;
    const loaded = Promise.all([train.loaded, held?.loaded ?? null]).then(([own, other]): LoadedRunData => ({ train: own, held: other }));
    loaded.then(preparation.end, preparation.end);
    const [batch, length] = [Math.max(train.batch, held?.batch ?? 0), Math.max(train.length, held?.length ?? 0)];
    return { batch, length, notes: [...unreadKeys(config), ...(note === null ? [] : [note])], moment, loaded, end: preparation.end };
  } catch (error) {
    preparation.end();
    throw error;
  }
}

/** Opens the data of a run, and ends its preparation whatever becomes of `work`. @throws EbbError */
export async function withRunData<T>(config: RunConfig, subject: DataSubject, work: (data: RunData) => Promise<T>): Promise<T> {
  const data = openRunData(config, subject);
  try {
    return await work(data);
  } finally {
    data.end();
  }
}

/** Optimizer steps of a run: as configured, or its epochs. */
export function stepsOf(config: RunConfig, { train }: LoadedRunData): number {
  return config.steps ?? Math.max(1, Math.floor(((config.epochs ?? 1) * train.source.count) / config.accumulate));
}

export interface TrainingRun {
  readonly config: RunConfig;
  readonly model: TrainableModel;
  readonly weights: DiskWeights;
  readonly data: RunData;
  readonly device: Device;
  /** Further files of the run folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Said when the engine is ready: units, kernels, milliseconds of the driver. */
  readonly ready: (engine: Engine, driverMs: number) => string;
}

/** A run that is open: its steps, and what it leaves. */
export interface OpenRun {
  /** Steps of the whole run. */
  readonly total: number;
  /** Units that a step may drop. */
  readonly units: number;
  /** The micro-batches of its data. */
  readonly batches: Pick<BatchSource, 'at'>;
  /**
   * Trains, and gives each step when it is finished and written to metrics.jsonl; by then the next ones are under way. Checkpoints and held-out
   * losses come in between, as configured. @param batches default those of its data @throws EbbError when a loss is not finite
   */
  steps(batches?: Pick<BatchSource, 'at'>): AsyncGenerator<StepMetrics, void>;
  /** Reads a parameter as it is now. @throws EbbError where there is none of this name */
  read(parameter: string): Promise<Float32Array>;
  /** Writes the last checkpoint, and, unless the run was interrupted, its result. */
  save(): Promise<TrainReport>;
  /** Frees what the run holds on the device. */
  close(): void;
}

/** Trains and writes the run folder. @throws EbbError for what the folder, the device or a loss makes impossible */
export async function runTraining(run: TrainingRun, hooks: TrainHooks = {}): Promise<TrainReport> {
  const opened = await openRun(run, hooks);
  for await (const metrics of opened.steps()) showStep(opened, metrics, hooks);
  const report = await opened.save();
  opened.close();
  return report;
}

/** Tells that a step is done. */
export function showStep({ total, units }: Pick<OpenRun, 'total' | 'units'>, metrics: StepMetrics, { onProgress }: Watch): void {
  onProgress?.({ kind: 'step', metrics, steps: total, units });
}

/** Opens a run: its folder, its engine with every parameter at its start, its data. @throws EbbError for what the folder or the device makes impossible */
export async function openRun({ config, model, weights, data, device, files, ready }: TrainingRun, hooks: TrainHooks = {}): Promise<OpenRun> {
  const say = (text: string): void => tell(hooks, text);
  for (const note of data.notes) say(note);
  // what can be refused before the folder is opened is; epochs are counted in the data
  const steps = config.steps ?? stepsOf(config, await data.loaded);
  const plan = createDropPlan(config.drop, planModel(model, steps));
  for (const note of plan.notes ?? []) say(note);
  const memory = config.memoryBudget === undefined ? null : planRunMemory(config, model.program, plan, steps, device.profile.limits.maxBufferSize);
  if (memory) say(memoryText(memory, config.memoryBudget ?? null));
  const probes = plan.measure ? 'norms' : undefined;
  const folder = openRunFolder(config.out, hooks.resume ?? false, config);
  const start = async (): Promise<Engine> => {
    const started = performance.now();
    const { accumulate: micros, decay, seed } = config;
    const engine = await startEngine(device, model, weights, { micros, optimizer: config.optimizer.name, decay, seed, probes, ...(memory ? { memory } : {}) });
    say(ready(engine, performance.now() - started));
    return engine;
  };
  hooks.signal?.throwIfAborted();
  // the driver compiles while the data is tokenised
  const [engine, { train: trainData, held }] = await Promise.all([start(), data.loaded]);
  if (hooks.signal?.aborted) engine.destroy();
  hooks.signal?.throwIfAborted();
  for (const note of new Set([...trainData.notes, ...(held?.notes ?? [])])) say(note);
  const resumed = await folder.resume(engine);
  folder.begin({ ...config, steps }, { ...files, [MOMENT]: momentText(data.moment) });
  const state = resumed ?? newState(engine);
  if (hooks.resume) say(resumed ? `resumed at step ${state.step}` : `${config.out}: holds no checkpoint to resume from, starting over`);
  const heldBatches = held ? held.source.all() : [];
  const heldOut = (): Promise<number> => evaluate(engine, heldBatches, pieces({ onProgress: hooks.onProgress }, 'held-out evaluation'));
  const before = held ? await heldOut() : Number.NaN;
  if (held) say(`held-out loss before: ${before.toFixed(4)}`);
  let last = Number.NaN;
  let interrupted = false;
  let saved = resumed?.step;
  const save = async (now: TrainState): Promise<void> => {
    // saving a step again would take its checkpoint away for a moment
    if (now.step !== saved) await folder.saveCheckpoint(engine, now);
    saved = now.step;
  };
  const options: Omit<TrainerOptions, 'batches'> = {
    engine,
    state,
    config: { ...config, steps },
    ...(memory ? { fitted: memory.fitted } : {}),
    ...timedSteps(state.step, hooks),
    onStep: (metrics) => {
      last = metrics.loss;
      folder.appendMetrics(metrics);
    },
    onMeasured: ({ step, units: names, sensitivities, ms, flops, officialFlops }) =>
      say(
        `step ${step}: sensitivities measured in ${(ms / 1000).toFixed(1)} s, with ${(flops / officialFlops).toFixed(2)} of the FLOPs of ${names.length + 1} forwards and backwards: ${names.map((u, i) => `${u} ${sensitivities[i]?.toPrecision(3)}`).join(', ')}`,
      ),
    stop: () => {
      interrupted = hooks.signal?.aborted === true;
      return interrupted;
    },
    between: {
      when: (step) => dueAt(step, config.saveEvery) || (held !== null && dueAt(step, config.evalEvery)),
      run: async (now) => {
        if (dueAt(now.step, config.saveEvery)) await save(now);
        if (held && dueAt(now.step, config.evalEvery)) say(`step ${now.step}: held-out loss ${(await heldOut()).toFixed(4)}`);
      },
    },
  };
  return {
    total: steps,
    units: unitsOf(engine).length,
    batches: trainData.source,
    steps: (batches = trainData.source) => trainSteps({ ...options, batches }),
    async read(name) {
      const index = engine.program.params.findIndex((p) => p.name === name);
      if (index < 0) throw new EbbError(`${model.about.name}: has no parameter ${name}; those that it has are in plan.json, and in the model's definition`);
      return engine.readParam(index);
    },
    async save() {
      await save(state);
      const result = interrupted ? null : `${config.out}/${model.about.lora ? 'adapter' : 'model'}`;
      const after = result === null ? Number.NaN : await conclude(engine, model, weights, result, held ? heldOut : null, say);
      return { out: config.out, result, steps: state.step, loss: last, heldOut: held ? { before, after } : null, interrupted };
    },
    close: () => engine.destroy(),
  };
}

/** The first steps compile and fill caches: the timed ones follow them, where the run is long enough. */
const UNTIMED = 2;
function timedSteps(start: number, { timed }: TrainHooks): Pick<TrainerOptions, 'timed'> {
  if (!timed) return {};
  const from = start + UNTIMED;
  return { timed: { when: (step) => step >= from && step < from + timed.steps, report: timed.report } };
}

async function conclude(
  engine: Engine,
  model: TrainableModel,
  weights: DiskWeights,
  result: string,
  heldOut: (() => Promise<number>) | null,
  say: (line: string) => void,
): Promise<number> {
  const after = heldOut ? await heldOut() : Number.NaN;
  if (heldOut) say(`held-out loss after: ${after.toFixed(4)}`);
  await writeResult(result, engine, model.about, weights);
  say(`written: ${result}`);
  return after;
}

const dueAt = (step: number, every: number): boolean => every > 0 && step % every === 0;
