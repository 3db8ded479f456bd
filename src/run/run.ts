/** @file A run from a config to its folder, over a compiled model: what `ebb train` and every generated trainer do. */

import { createDropPlan } from '../dropbp/plans/index.ts';
import { EbbError } from '../errors.ts';
import type { Device } from '../runtime/device.ts';
import type { DispatchTime } from '../runtime/dispatchTimes.ts';
import type { Engine } from '../runtime/execute.ts';
import type { RunConfig } from '../train/config.ts';
import { idleWork } from '../train/idleWork.ts';
import { evaluate, type Measured, newState, planModel, type TrainerOptions, type TrainState, trainSteps, unitsOf } from '../train/loop.ts';
import type { TrainableModel } from '../train/model.ts';
import { isOfSteps, lengthNotes, runLength } from '../train/runLength.ts';
import { accountLines, runAccount, SUMMARY } from './account.ts';
import { takesSequences } from './batchFiles.ts';
import { startEngine } from './engine.ts';
import { MOMENT, momentText } from './moment.ts';
import type { OpenRun, RunStep, TrainReport } from './openRun.ts';
import { during, pieces, tell, type Watch } from './progress.ts';
import { writeResult } from './result.ts';
import { type DataSubject, lengthOf, openRunData, type RunData } from './runData.ts';
import { kindsOf, openRunFolder } from './runFolder.ts';
import { memoryText, planRunMemory } from './runMemory.ts';
import { whileSaving } from './saving.ts';
import { countedBy, tellingFirst } from './stepProgress.ts';
import type { DiskWeights } from './weights.ts';

/** How a run is watched. Its signal ends it after the step that is under way, with a checkpoint. */
export interface TrainHooks extends Watch {
  readonly resume?: boolean;
  /** Steps to time dispatch by dispatch, counted from where the run starts, and who is told. */
  readonly timed?: { readonly steps: number; readonly report: (step: number, times: readonly DispatchTime[]) => void };
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

/** Opens the data of a run and then the run, which ends the preparation of its data when it is closed. @throws EbbError as both do */
export async function openOverData(config: RunConfig, subject: DataSubject, open: (data: RunData) => Promise<OpenRun>, watch: Watch = {}): Promise<OpenRun> {
  const data = await openRunData(config, subject, watch);
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
  const length = isOfSteps(config) ? runLength(config, 1) : lengthOf(config, await data.loaded);
  const { steps, microBatches } = length;
  const plan = createDropPlan(config.drop, planModel(model, steps));
  for (const note of [...(plan.notes ?? []), ...idleWork(config, model.program, plan, length)]) say(note);
  const memory = config.memoryBudget === undefined ? null : planRunMemory(config, model.program, plan, steps, device.profile.limits.maxBufferSize);
  if (memory) say(memoryText(memory, config.memoryBudget ?? null));
  const probes = plan.measure ? 'norms' : undefined;
  const folder = openRunFolder(config.out, hooks.resume ?? false, config);
  const start = async (): Promise<Engine> => {
    const started = performance.now();
    const { accumulate: micros, decay, seed } = config;
    const { onProgress } = hooks;
    const engine = await startEngine(device, model, weights, {
      micros,
      optimizer: config.optimizer.name,
      decay,
      seed,
      probes,
      ...(memory ? { memory } : {}),
      onProgress,
    });
    say(ready(engine, performance.now() - started));
    return engine;
  };
  hooks.signal?.throwIfAborted();
  // the driver compiles while the data is tokenised
  const [engine, { train: trainData, held }] = await Promise.all([start(), data.loaded]);
  if (hooks.signal?.aborted) engine.destroy();
  hooks.signal?.throwIfAborted();
  for (const note of new Set([...lengthNotes(config, trainData.source.count), ...trainData.notes, ...(held?.notes ?? [])])) say(note);
  const resumed = await (hooks.resume ? during(hooks, 'reading the checkpoint', () => folder.resume(engine)) : folder.resume(engine));
  // the epochs of a run that is to end with them say where its last step ends
  const account = runAccount({
    config,
    engine,
    isAdapter: model.about.lora !== null,
    length,
    count: trainData.source.count,
    data: trainData.report,
    evalData: held?.report,
  });
  for (const line of accountLines(account, takesSequences(model.program.inputs))) say(line);
  const summary = { [SUMMARY]: `${JSON.stringify(account, null, 2)}\n` };
  folder.begin(
    { ...config, steps, ...(config.steps === undefined ? { epochs: config.epochs ?? 1 } : {}) },
    { ...files, ...summary, [MOMENT]: momentText(data.moment) },
  );
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
    await folder.saveCheckpoint(whileSaving(engine, hooks, `saving step ${now.step}`, kindsOf(engine)), now);
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
    onMeasuring: pieces({ onProgress: hooks.onProgress }, 'measuring sensitivities'),
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
  const counts = countedBy(engine.program);
  return {
    total: steps,
    done: state.step,
    units,
    batches: trainData.source,
    steps: (batches = trainData.source, { pauseAfter = () => false } = {}) =>
      tellingFirst(hooks, trainSteps({ ...options, batches, between: between(pauseAfter) })),
    show: (metrics) => hooks.onProgress?.({ kind: 'step', metrics, steps, units, counts }),
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
      const after = result === null ? Number.NaN : await conclude(engine, model, weights, result, held ? heldOut : null, hooks);
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
  watch: Watch,
): Promise<number> {
  const after = heldOut ? await heldOut() : Number.NaN;
  if (heldOut) tell(watch, `held-out loss after: ${after.toFixed(4)}`);
  await writeResult(result, whileSaving(engine, watch, `writing ${result}`, ['params']), model.about, weights);
  tell(watch, `written: ${result}`);
  return after;
}

const dueAt = (step: number, every: number): boolean => every > 0 && step % every === 0;
