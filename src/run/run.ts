/** @file A run from a config to its folder, over a compiled model: what `ebb train` and every generated trainer do. */

import { join } from 'node:path';
import { createDropPlan } from '../dropbp/plans/index.ts';
import { EbbError, isOfNumbers, option } from '../errors.ts';
import type { Device } from '../runtime/device.ts';
import type { DispatchTime } from '../runtime/dispatchTimes.ts';
import type { Engine } from '../runtime/execute.ts';
import type { RunConfig } from '../train/config.ts';
import { idleWork } from '../train/idleWork.ts';
import { evaluate, type Measured, newState, planModel, type TrainerOptions, type TrainState, trainSteps, unitsOf } from '../train/loop.ts';
import type { TrainableModel } from '../train/model.ts';
import { isOfSteps, lengthNotes, runLength } from '../train/runLength.ts';
import { accountLines, runAccount, SUMMARY } from './account.ts';
import { loadAdapter } from './adapter.ts';
import { takesSequences } from './batchFiles.ts';
import { CONFIG, scheduledBefore, scheduleNote } from './earlierRun.ts';
import { startEngine } from './engine.ts';
import { openHeldOut } from './heldOut.ts';
import { checkIdentity, hashParts, type Identity, modelFiles, newIdentity } from './identity.ts';
import type { Claim } from './lock.ts';
import { MOMENT, momentText } from './moment.ts';
import type { GoingOn, OpenRun, RunStep, TrainReport } from './openRun.ts';
import { during, pieces, tell, type Watch } from './progress.ts';
import { openRecord } from './record.ts';
import { BEST, RESULT } from './results.ts';
import { type DataSubject, lengthOf, openRunData, type RunData } from './runData.ts';
import { openRunFolder, type RunFolder } from './runFolder.ts';
import { memoryText, planRunMemory } from './runMemory.ts';
import { openSaving } from './saving.ts';
import { countedBy, tellingFirst } from './stepProgress.ts';
import type { DiskWeights } from './weights.ts';

/** How a run is watched, and how it goes on. Its signal ends it after the step that is under way, with a checkpoint. */
export interface TrainHooks extends Watch, GoingOn {
  /** Holds the run's folder. */
  readonly claim?: Pick<Claim, 'check'>;
  /** Steps to time dispatch by dispatch, counted from where the run starts, and who is told. */
  readonly timed?: { readonly steps: number; readonly report: (step: number, times: readonly DispatchTime[]) => void };
}

export interface TrainingRun {
  readonly config: RunConfig;
  readonly model: TrainableModel;
  readonly weights: DiskWeights;
  readonly data: RunData;
  readonly device: Device;
  /** What was compiled, as a text, and the version of Ebb that compiled it: a run goes on with the same. */
  readonly plan: string;
  readonly ebb: string;
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

/** What a run depends on, hashed. */
function hashRun({ config, weights, data, plan }: Pick<TrainingRun, 'config' | 'weights' | 'data' | 'plan'>): Promise<Identity['parts']> {
  const { checkpoint, path } = weights;
  const from = config.lora === false ? undefined : config.lora.from;
  const model = checkpoint ? modelFiles(checkpoint.path) : path === null ? [] : [path];
  return hashParts({ files: { model, adapter: from === undefined ? [] : [loadAdapter(from).file], ...data.files() }, plan });
}

/** The identity of a run that begins, or goes on. @throws EbbError where it goes on and something is another */
async function identityOf(
  folder: RunFolder,
  ebb: string,
  hashing: Promise<Identity['parts']>,
  { accept = [] }: TrainHooks,
  say: (text: string) => void,
): Promise<Identity> {
  const now = { ebb, parts: await hashing };
  const before = folder.identity;
  if (folder.isOlder) say(`${folder.path}: an earlier version began the run and did not say what its data and its model hold, so that is not compared`);
  if (before === null && accept.length > 0) say(`${option('accept')} names ${accept.join(', ')}, but nothing that the run began with is known to compare`);
  if (before === null) return newIdentity(now.ebb, now.parts);
  checkIdentity(folder.path, before, now, accept, say);
  return { ...now, run: before.run };
}

/** Opens a run: its folder, its engine with every parameter at its start, its data. @throws EbbError for what the folder or the device makes impossible */
export async function openRun(run: TrainingRun, hooks: TrainHooks = {}): Promise<OpenRun> {
  const { config, model, weights, data, device, files, ready } = run;
  const say = (text: string): void => tell(hooks, text);
  for (const note of data.notes) say(note);
  const before = hooks.resume ? scheduledBefore(join(config.out, CONFIG)) : null;
  const folder = openRunFolder(config.out, hooks.resume ?? false, config, say);
  const hashing = during(hooks, 'hashing what the run depends on', () => hashRun(run));
  // whoever waits for it is told; nobody may be waiting yet
  hashing.catch(() => {});
  // what can be refused before the engine is made is; epochs are counted in the data
  const length = isOfSteps(config) ? runLength(config, 1) : lengthOf(config, await data.loaded);
  const { steps, microBatches } = length;
  const plan = createDropPlan(config.drop, planModel(model, steps));
  for (const note of [...(plan.notes ?? []), ...idleWork(config, model.program, plan, length)]) say(note);
  const memory = config.memoryBudget === undefined ? null : planRunMemory(config, model.program, plan, steps, device.profile.limits.maxBufferSize);
  if (memory) say(memoryText(memory, config.memoryBudget ?? null));
  const probes = plan.measure ? 'norms' : undefined;
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
  // the driver compiles while the data is tokenised and files are hashed
  const [engine, { train: trainData, held }, identity] = await Promise.all([start(), data.loaded, identityOf(folder, run.ebb, hashing, hooks, say)]);
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
  const state = resumed ?? newState(engine);
  checkGoesOn(config, state, steps);
  const rates = before && scheduleNote(before, { ...config, steps }, state.step);
  if (rates) say(rates);
  const saving = openSaving(
    {
      folder: config.out,
      run: identity.run,
      engine,
      model,
      weights,
      dtype: config.resultDtype,
      claim: hooks.claim,
      restore: folder.restore,
      watch: { onProgress: hooks.onProgress },
    },
    resumed?.step,
  );
  const evaluates = held !== null && config.evalEvery > 0;
  saving.checkSpace(evaluates && config.keepBest);
  hooks.claim?.check();
  const summary = { [SUMMARY]: `${JSON.stringify(account, null, 2)}\n` };
  folder.begin({ ...config, steps, ...(config.steps === undefined ? { epochs: config.epochs ?? 1 } : {}) }, identity, {
    ...files,
    ...summary,
    [MOMENT]: momentText(data.moment),
  });
  if (hooks.resume) say(resumed ? resumedText(state, steps) : `${config.out}: holds no checkpoint to resume from, starting over`);
  const units = unitsOf(engine).length;
  const record = openRecord(config.out, state.step, units, say);
  const watched = pieces({ onProgress: hooks.onProgress }, 'held-out evaluation');
  const heldOut =
    held &&
    openHeldOut({
      config,
      engine,
      state,
      batches: held.source.all(),
      watched,
      record,
      keepBest: saving.keepBest,
      evalData: identity.parts['evalData']?.sha256,
      say,
    });
  // where the run goes on, what it had trained may be the best so far
  const first = heldOut ? await heldOut.compare() : Number.NaN;
  if (heldOut) say(`held-out loss ${state.step === 0 ? 'before' : `after ${state.step} steps`}: ${first.toFixed(4)}`);
  const untrained = record.heldOutLosses().find(({ step }) => step === 0)?.heldOut ?? first;
  let interrupted = false;
  let broken: EbbError | null = null;
  const between = (pauseAfter: (step: number) => boolean): NonNullable<TrainerOptions['between']> => ({
    when: (step) => dueAt(step, config.saveEvery) || (heldOut !== null && dueAt(step, config.evalEvery)) || pauseAfter(step),
    run: async (now) => {
      if (dueAt(now.step, config.saveEvery)) await saving.save(now);
      if (heldOut && dueAt(now.step, config.evalEvery)) say(`step ${now.step}: held-out loss ${(await heldOut.compare()).toFixed(4)}`);
    },
  });
  const options: Omit<TrainerOptions, 'batches' | 'between'> = {
    engine,
    state,
    config: { ...config, steps, microBatches },
    ...(memory ? { fitted: memory.fitted } : {}),
    ...timedSteps(state.step, hooks),
    onStep: record.step,
    onMeasuring: pieces({ onProgress: hooks.onProgress }, 'measuring sensitivities'),
    onMeasured(measured) {
      say(measuredText(measured));
      hooks.onProgress?.({ kind: 'measured', measured });
    },
    stop: () => {
      interrupted = hooks.signal?.aborted === true;
      return interrupted || (heldOut?.isOver() ?? false);
    },
  };
  const counts = countedBy(engine.program);
  return {
    total: steps,
    done: state.step,
    units,
    batches: trainData.source,
    steps: (batches = trainData.source, { pauseAfter = () => false } = {}) =>
      untilBroken(tellingFirst(hooks, trainSteps({ ...options, batches, between: between(pauseAfter) })), (error) => {
        folder.fail(state.step, error);
        if (isOfNumbers(error)) broken = error;
      }),
    show: (metrics) => hooks.onProgress?.({ kind: 'step', metrics, steps, units, counts }),
    async read(name) {
      const index = engine.program.params.findIndex((p) => p.name === name);
      if (index < 0) throw new EbbError(`${model.about.name}: has no parameter ${name}; those that it has are in plan.json, and in the model's definition`);
      return engine.readParam(index);
    },
    async evaluate(path) {
      if (path !== undefined) return evaluate(engine, await data.heldOut(path), watched);
      if (!heldOut) throw new EbbError('the run has no evalData, so there is nothing to evaluate; give evaluate() a path, or the run evalData', 'config');
      return heldOut.evaluate();
    },
    async save() {
      // the newest checkpoint is of before the step that gave no number, and stays so
      if (broken) throw broken;
      await saving.finish(state);
      const endedEarly = state.step < steps && (heldOut?.isOver() ?? false);
      if (endedEarly) say(`ended after step ${state.step} of ${steps}: the held-out loss did not get lower in ${config.patience} evaluations`);
      const after = heldOut && !interrupted ? await heldOut.compare() : Number.NaN;
      if (heldOut && !interrupted) say(`held-out loss after: ${after.toFixed(4)}`);
      record.end();
      const result = join(config.out, RESULT);
      say(`written: ${result}${saving.dtype() === null ? '' : ` (${saving.dtype()})`}`);
      const best = heldOut?.best() ?? null;
      if (best)
        say(
          `best: ${join(config.out, BEST)}, of step ${best.step}, held-out loss ${best.heldOut.toFixed(4)}${untrained < best.heldOut ? `; before training it was lower, ${untrained.toFixed(4)}` : ''}`,
        );
      return {
        out: config.out,
        result,
        best: best && { folder: join(config.out, BEST), step: best.step, heldOut: best.heldOut },
        steps: state.step,
        loss: record.lastLoss(),
        heldOut: heldOut ? { before: untrained, after } : null,
        interrupted,
        endedEarly,
      };
    },
    close() {
      record.end();
      engine.destroy();
    },
  };
}

/** Steps, and who is told where one of them fails. */
async function* untilBroken<T>(steps: AsyncGenerator<T, void>, tell: (error: unknown) => void): AsyncGenerator<T, void> {
  try {
    yield* steps;
  } catch (error) {
    tell(error);
    throw error;
  }
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

const dueAt = (step: number, every: number): boolean => every > 0 && step % every === 0;
