/** @file A run from a config to its folder, over a compiled model: what `ebb train` and every generated trainer do. */

import { createDropPlan } from '../dropbp/plans/index.ts';
import { EbbError } from '../errors.ts';
import { holdsRecords } from '../formats/dataset.ts';
import type { Device } from '../runtime/device.ts';
import type { DispatchTime } from '../runtime/dispatchTimes.ts';
import type { Engine } from '../runtime/execute.ts';
import type { Batch } from '../train/batches.ts';
import type { RunConfig } from '../train/config.ts';
import { idleWork } from '../train/idleWork.ts';
import { evaluate, type Measured, newState, planModel, type TrainerOptions, type TrainState, trainSteps, unitsOf } from '../train/loop.ts';
import type { TrainableModel } from '../train/model.ts';
import { isOfSteps, lengthNotes, type RunLength, runLength } from '../train/runLength.ts';
import { checkPositions, checkRestarts, type PositionSubject } from './batchFiles.ts';
import { type BatchSizes, checkCounted, type DataOptions, type LoadedData, type OpenedData, openData, readySizes } from './data.ts';
import { startEngine } from './engine.ts';
import type { OpenRun, RunStep, TrainReport } from './openRun.ts';
import { type Preparation, prepare } from './prepare.ts';
import { pieces, tell, type Watch } from './progress.ts';
import { writeResult } from './result.ts';
import { openRunFolder } from './runFolder.ts';
import { memoryText, planRunMemory } from './runMemory.ts';
import type { DiskWeights } from './weights.ts';

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
  /** Whether positions start over within rows, because they hold several sequences. */
  readonly restarts: boolean;
  /** What is to be said of it before the run. */
  readonly notes: readonly string[];
  /** @throws EbbError naming the file and what is wrong with it */
  readonly loaded: Promise<LoadedRunData>;
  /** Reads further held-out data, once, by the rules of the run's. @throws EbbError naming the file and what is wrong with it */
  heldOut(path: string): Promise<readonly Batch[]>;
  /** Ends what is still being prepared. */
  end(): void;
}

export interface DataSubject extends PositionSubject {
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
function unreadKeys({ data, evalData, evalEvery, fields, chatTemplate }: RunConfig): string[] {
  const records = holdsRecords(data) || (evalData !== undefined && holdsRecords(evalData));
  return [
    ...(evalEvery > 0 && evalData === undefined ? [`evalEvery is ${evalEvery}, but there is no evalData, so nothing is evaluated`] : []),
    ...(Object.keys(fields).length > 0 && !records ? [`fields names fields of records, but ${data} holds none, so it changes nothing`] : []),
    ...(chatTemplate !== undefined && !records ? [`chatTemplate renders conversations, but ${data} holds none, so it changes nothing`] : []),
  ];
}

/** A function that does its work once for every argument, unless it failed. */
function once<T>(work: (of: string) => Promise<T>): (of: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (of) => {
    const result = known.get(of) ?? work(of);
    known.set(of, result);
    result.catch(() => known.delete(of));
    return result;
  };
}

/** @throws EbbError for batches that are larger than those of the run */
function checkWithin(where: string, own: BatchSizes, most: BatchSizes): void {
  if (own.batch <= most.batch && own.length <= most.length) return;
  throw new EbbError(`${where}: its batches are ${own.batch} × ${own.length}, those of this run at most ${most.batch} × ${most.length}; make smaller ones`);
}

/** Opens the data of a run; what has to be tokenised is being tokenised then. @throws EbbError naming the file and what is wrong with it */
export function openRunData(config: RunConfig, subject: DataSubject): RunData {
  const { inputs, vocabSize, maxPosition, tokenizer, usual = USUAL_SIZES } = subject;
  const common = { batch: config.batch, length: config.length, seed: config.seed, inputs, vocabSize, fields: config.fields, chatTemplate: config.chatTemplate };
  const preparation = prepare();
  const open = (path: string, options: Partial<DataOptions>, by: Preparation = preparation): OpenedData => {
    const opened = openData(path, tokenizer, { ...common, ...options }, by);
    checkPositions(path, opened.length, maxPosition);
    if (opened.restarts) checkRestarts(path, subject);
    return opened;
  };
  try {
    const { shuffle, pack, bucket } = config;
    const train = open(config.data, { shuffle, pack, bucket });
    const held = config.evalData === undefined ? null : open(config.evalData, { shuffle: false, limit: config.evalLimit });
    // sizes that were asked for may be meant for the one of both that comes without
    const note = train.isReady && (held === null || held.isReady) ? readySizes(config.data, train, config, usual) : null;
    const loaded = Promise.all([train.loaded, held?.loaded ?? null]).then(([own, other]): LoadedRunData => ({ train: own, held: other }));
    loaded.then(preparation.end, preparation.end);
    const [batch, length] = [Math.max(train.batch, held?.batch ?? 0), Math.max(train.length, held?.length ?? 0)];
    const restarts = train.restarts || (held?.restarts ?? false);
    const heldOut = once(async (path: string): Promise<readonly Batch[]> => {
      const own = prepare();
      try {
        const opened = open(path, { batch, length, shuffle: false, limit: config.evalLimit }, own);
        checkWithin(path, opened, { batch, length });
        // the model is compiled by now, for the data that the run named
        if (opened.restarts && !restarts) checkRestarts(path, { ...subject, canTakePositions: false });
        const batches = (await opened.loaded).source.all();
        checkCounted(path, batches);
        return batches;
      } finally {
        own.end();
      }
    });
    return { batch, length, restarts, heldOut, notes: [...unreadKeys(config), ...(note === null ? [] : [note])], loaded, end: preparation.end };
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

/** The length of a run over its data. */
export const lengthOf = (config: RunConfig, { train }: LoadedRunData): RunLength => runLength(config, train.source.count);

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

/** Opens the data of a run and then the run, which ends the preparation of its data when it is closed. @throws EbbError as both do */
export async function openOverData(config: RunConfig, subject: DataSubject, open: (data: RunData) => Promise<OpenRun>): Promise<OpenRun> {
  const data = openRunData(config, subject);
  try {
    const run = await open(data);
    return {
      ...run,
      close() {
        data.end();
        run.close();
      },
    };
  } catch (error) {
    data.end();
    throw error;
  }
}

/** Goes through all steps of a run, saves what was trained, and closes it. @param each is told of every step, and waited for @throws EbbError as a run's steps */
export async function trainAll(run: OpenRun, each: (step: RunStep) => unknown = () => {}): Promise<TrainReport> {
  try {
    for await (const step of run.steps()) {
      run.show(step);
      await each(step);
    }
    return await run.save();
  } finally {
    run.close();
  }
}

/** Opens a run: its folder, its engine with every parameter at its start, its data. @throws EbbError for what the folder or the device makes impossible */
export async function openRun({ config, model, weights, data, device, files, ready }: TrainingRun, hooks: TrainHooks = {}): Promise<OpenRun> {
  const say = (text: string): void => tell(hooks, text);
  for (const note of data.notes) say(note);
  // what can be refused before the folder is opened is; epochs are counted in the data
  const { steps, microBatches } = isOfSteps(config) ? runLength(config, 1) : lengthOf(config, await data.loaded);
  const plan = createDropPlan(config.drop, planModel(model, steps));
  for (const note of [...(plan.notes ?? []), ...idleWork(config, model.program, plan, { steps, microBatches })]) say(note);
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
  for (const note of new Set([...lengthNotes(config, trainData.source.count), ...trainData.notes, ...(held?.notes ?? [])])) say(note);
  const resumed = await folder.resume(engine);
  // the epochs of a run that is to end with them say where its last step ends
  folder.begin({ ...config, steps, ...(config.steps === undefined ? { epochs: config.epochs ?? 1 } : {}) }, files);
  const state = resumed ?? newState(engine);
  checkGoesOn(config, state, steps);
  if (hooks.resume) say(resumed ? resumedText(state, steps) : `${config.out}: holds no checkpoint to resume from, starting over`);
  const heldBatches = held ? held.source.all() : [];
  const heldProgress = () => pieces({ onProgress: hooks.onProgress }, 'held-out evaluation');
  const heldOut = (): Promise<number> => evaluate(engine, heldBatches, heldProgress());
  const before = held ? await heldOut() : Number.NaN;
  if (held) say(`held-out loss before: ${before.toFixed(4)}`);
  let last = folder.lastLoss();
  let interrupted = false;
  let saved = resumed?.step;
  const save = async (now: TrainState): Promise<void> => {
    // saving a step again would take its checkpoint away for a moment
    if (now.step === saved) return;
    now.updates = await engine.readUpdates();
    await folder.saveCheckpoint(engine, now);
    saved = now.step;
  };
  const between = (pauseAfter: (step: number) => boolean): NonNullable<TrainerOptions['between']> => ({
    when: (step) => dueAt(step, config.saveEvery) || (held !== null && dueAt(step, config.evalEvery)) || pauseAfter(step),
    run: async (now) => {
      if (dueAt(now.step, config.saveEvery)) await save(now);
      if (held && dueAt(now.step, config.evalEvery)) say(`step ${now.step}: held-out loss ${(await heldOut()).toFixed(4)}`);
    },
  });
  const options: Omit<TrainerOptions, 'batches' | 'between'> = {
    engine,
    state,
    config: { ...config, steps, microBatches },
    ...(memory ? { fitted: memory.fitted } : {}),
    ...timedSteps(state.step, hooks),
    onStep: (metrics) => {
      last = metrics.loss;
      folder.appendMetrics(metrics);
    },
    onMeasured(measured) {
      say(measuredText(measured));
      hooks.onProgress?.({ kind: 'measured', measured });
    },
    stop: () => {
      interrupted = hooks.signal?.aborted === true;
      return interrupted;
    },
  };
  const units = unitsOf(engine).length;
  return {
    total: steps,
    done: state.step,
    units,
    batches: trainData.source,
    steps: (batches = trainData.source, { pauseAfter = () => false } = {}) => trainSteps({ ...options, batches, between: between(pauseAfter) }),
    show: (metrics) => hooks.onProgress?.({ kind: 'step', metrics, steps, units }),
    async read(name) {
      const index = engine.program.params.findIndex((p) => p.name === name);
      if (index < 0) throw new EbbError(`${model.about.name}: has no parameter ${name}; those that it has are in plan.json, and in the model's definition`);
      return engine.readParam(index);
    },
    async evaluate(path) {
      if (path !== undefined) return evaluate(engine, await data.heldOut(path), heldProgress());
      if (!held) throw new EbbError('the run has no evalData, so there is nothing to evaluate; give evaluate() a path, or the run evalData', 'config');
      return heldOut();
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

/** @throws EbbError for a run that has gone on for longer than it is to go on now */
function checkGoesOn({ out }: RunConfig, { step }: TrainState, steps: number): void {
  if (step > steps)
    throw new EbbError(`${out}: its newest checkpoint is of step ${step}, and the run is to have ${steps}; give more steps, or start another run`, 'run');
}

const resumedText = ({ step }: TrainState, steps: number): string =>
  `resumed at step ${step}${step === steps ? `; all ${steps} steps are done already, for more give a larger number of steps` : ''}`;

/** What is said when sensitivities were measured. */
function measuredText({ step, units, sensitivities, ms, flops, officialFlops, lossOver }: Measured): string {
  const each = units.map((unit, i) => `${unit} ${sensitivities[i]?.toPrecision(3)}`);
  const share = `${(flops / officialFlops).toFixed(2)} of the FLOPs of ${units.length + 1} forwards and backwards`;
  return `step ${step}: sensitivities measured in ${(ms / 1000).toFixed(1)} s, ${lossOver === 'tokens' ? 'batches weighed by their tokens' : 'each batch alike'}, with ${share}: ${each.join(', ')}`;
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
