/** @file `ebb train`: traces and compiles a model for the sizes of the data, and trains it. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { compileModel } from '../compile/compile.ts';
import { scalesBranches } from '../dropbp/plans/index.ts';
import { option } from '../errors.ts';
import type { StoredType } from '../formats/storedType.ts';
import { printModule } from '../ir/print.ts';
import type { CommandDevice } from '../node/device.ts';
import { adapterToGoOn, type LoadedAdapter, tellAdapter } from '../run/adapter.ts';
import { settled } from '../run/earlierRun.ts';
import type { OpenRun } from '../run/openRun.ts';
import { during, type Watch } from '../run/progress.ts';
import { openOverData, openRun, type TrainHooks } from '../run/run.ts';
import type { RunData } from '../run/runData.ts';
import { requireWeights } from '../run/startingValue.ts';
import type { DiskWeights } from '../run/weights.ts';
import type { Engine } from '../runtime/execute.ts';
import type { TracedModel } from '../trace/trace.ts';
import type { RunConfig } from '../train/config.ts';
import { unitsOf } from '../train/loop.ts';
import type { TrainableModel } from '../train/model.ts';
import { type Entry, emptyBook, type ScheduleBook } from '../tune/book.ts';
import { bookText, readBook, surroundingsOf } from '../tune/file.ts';
import { MANIFEST } from '../version.ts';
import { measuredSchedules } from './runSchedules.ts';
import { type LoraOptions, loraOf, trainableModel } from './session.ts';
import { compileDeviceOf } from './sessionDevice.ts';
import { checkTrains, checkWeights, describeSource, type ModelSource, openSource, type SourceDescription } from './source.ts';
import { type TunedDevice, withSchedules } from './tune.ts';

const freshLora = (lora: RunConfig['lora']): LoraOptions | null => (lora === false || lora.from !== undefined ? null : lora);

/** What to do where an adapter has no weights under it. */
export const giveWeights = (): string => `give ${option('weights')} a safetensors file with the parameters' names`;

const SCHEDULES = 'schedules.json';

/** Finds the schedules of a run: those that a resumed run began with, or else the known ones and those that there is time to measure. */
function schedules(config: RunConfig, traced: TracedModel, device: TunedDevice, data: RunData, hooks: TrainHooks): Promise<ScheduleBook> | ScheduleBook {
  const ofRun = join(config.out, SCHEDULES);
  if (hooks.resume && existsSync(ofRun)) return readBook(ofRun);
  if (config.tune === 'off') return emptyBook(surroundingsOf(device.device.profile));
  return measuredSchedules(config, traced, device, data, hooks);
}

/** The model that a config names, and the adapter that training starts from. */
export interface RunModel<S extends SourceDescription = ModelSource> {
  readonly source: S;
  readonly adapter: LoadedAdapter | null;
  readonly lora: LoraOptions | null;
  /** Traces the model for batches of up to `batch` rows of `length` tokens. @param restarts whether positions start over within rows */
  readonly trace: (batch: number, length: number, restarts?: boolean) => TracedModel;
}

/** Opens the model of a config. @throws EbbError for a model or an adapter that cannot be opened */
export async function openRunModel(config: RunConfig, watch: Watch = {}): Promise<RunModel> {
  return runModel(config, await openSource(config.model, config.weights, watch), watch);
}

/** Opens the model of a config whose weights may be missing. @param dtype as for `describeSource` @throws EbbError as `openRunModel` does */
export async function describeRunModel(config: RunConfig, dtype: StoredType | undefined, watch: Watch = {}): Promise<RunModel<SourceDescription>> {
  checkWeights(config.model, config.weights);
  return runModel(config, await describeSource(config.model, dtype, watch), watch);
}

/** The adapter that `lora` of a config asks for, and the one it goes on with, each null where there is none. @throws EbbError for one that cannot be gone on with */
export function adaptersOf(config: RunConfig['lora']): Pick<RunModel, 'adapter' | 'lora'> {
  const adapter = adapterToGoOn(config);
  return { adapter, lora: adapter ? loraOf(adapter, 'lora.from') : freshLora(config) };
}

function runModel<S extends SourceDescription>(config: RunConfig, source: S, watch: Watch): RunModel<S> {
  const { adapter, lora } = adaptersOf(config.lora);
  tellAdapter(watch, adapter, config.model);
  const trace = (batch: number, length: number, restarts = false): TracedModel => {
    const traced = source.trace({ batch, length, lora, restarts, scaledBranches: scalesBranches(config.drop) });
    checkTrains(config.model, traced);
    return traced;
  };
  return { source, adapter, lora, trace };
}

/** The model of a run, compiled with the schedules that are known or were measured. */
interface CompiledRun {
  readonly model: TrainableModel;
  readonly weights: DiskWeights;
  readonly compileMs: number;
  /** The schedules that the compilation used, as text. */
  readonly schedules: string;
  /** The model as it was traced, as text. */
  readonly plan: string;
}

/** Compiles a run's model for its data. @throws EbbError for an adapter on a model without weights, and a model that cannot be trained */
export async function compileRun(
  config: RunConfig,
  { source, adapter, lora, trace }: RunModel,
  opened: CommandDevice,
  data: RunData,
  hooks: TrainHooks = {},
): Promise<CompiledRun> {
  if (lora) requireWeights(config.model, source.weights, giveWeights());
  const device: TunedDevice = { ...opened, matmulPrecision: config.matmulPrecision };
  const started = performance.now();
  const traced = await during(hooks, 'tracing the model', () => trace(data.batch, data.length, data.restarts));
  const traceMs = performance.now() - started;
  const book = await schedules(config, traced, device, data, hooks);
  const used: Record<string, Entry> = {};
  const compiling = performance.now();
  const compileDevice = compileDeviceOf(withSchedules(device, book, used));
  const compiled = await during(hooks, 'compiling the model', () => compileModel(traced, { device: compileDevice, optimizers: [config.optimizer.name] }));
  return {
    model: trainableModel(traced, compiled, source.about(traced, lora)),
    weights: { ...source.weights, adapter: adapter?.weights ?? null },
    compileMs: traceMs + performance.now() - compiling,
    schedules: bookText({ ...book, entries: used }),
    plan: printModule(traced.module),
  };
}

/** Returns a function that writes the line that is said when the engine of a run is ready. */
export const readyText =
  (config: RunConfig, { device }: CommandDevice, { compileMs }: Pick<CompiledRun, 'compileMs'>) =>
  (engine: Engine, driverMs: number): string =>
    `${config.model}: ${unitsOf(engine).length} units, ${engine.program.pipelines.length} kernels; compiled in ${compileMs.toFixed(0)} ms, driver ${driverMs.toFixed(0)} ms; on ${device.profile.name}`;

/** Opens a run of a checkpoint or a definition by its config. @throws EbbError for a model, data, a folder or a device that makes the run impossible */
export async function openModelRun(given: RunConfig, opened: CommandDevice, hooks: TrainHooks = {}): Promise<OpenRun> {
  const config = settled(given, hooks);
  const run = await openRunModel(config, hooks);
  return openOverData(
    config,
    run.source,
    async (data) => {
      const compiled = await compileRun(config, run, opened, data, hooks);
      const { model, weights, schedules: used, plan } = compiled;
      const files = { [SCHEDULES]: used };
      return openRun(
        { config, model, weights, data, plan, ebb: MANIFEST.version, device: opened.device, files, ready: readyText(config, opened, compiled) },
        hooks,
      );
    },
    hooks,
  );
}
