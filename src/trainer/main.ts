/** @file The command line of a generated trainer: weights, data and a run's keys in, a run folder out. Node only. */

import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { Command } from 'commander';
import picomatch from 'picomatch';
import { EbbError, speakInFlags } from '../errors.ts';
import { type CommandDevice, holdDevice } from '../node/device.ts';
import { adapterToGoOn, checkAdapter, type LoadedAdapter, tellAdapter } from '../run/adapter.ts';
import { checkBounds } from '../run/batchFiles.ts';
import { openForCompiled } from '../run/compiledCheckpoint.ts';
import type { BatchSizes } from '../run/data.ts';
import { settled } from '../run/earlierRun.ts';
import { openHeld } from '../run/heldRun.ts';
import { openClaimed } from '../run/lock.ts';
import type { OpenRun, TrainReport } from '../run/openRun.ts';
import { during, tellNotes, type Watch } from '../run/progress.ts';
import { openRun as openEngineRun, openOverData, type TrainHooks, type TrainingRun, trainAll } from '../run/run.ts';
import { namedRunFile } from '../run/runFile.ts';
import { checkRunFolder } from '../run/runFolder.ts';
import { requireWeights } from '../run/startingValue.ts';
import { type DiskWeights, NO_WEIGHTS, openWeights } from '../run/weights.ts';
import { type AdapterAbout, checkRequirements, PLAN_VERSION } from '../runtime/planFile.ts';
import { addRunFlags, type RunFlags, runInput } from '../terminal/flags.ts';
import { eachOnce, outliveReaders, say } from '../terminal/options.ts';
import { parseConfig, type RunConfig, type RunInput } from '../train/config.ts';
import { unitsOf } from '../train/loop.ts';
import { commandRun } from './commandRun.ts';
import { type LoadedTrainer, loadPackage, type PackageFacts } from './package.ts';
import type { RunOptions, Train } from './run.ts';

interface Flags extends RunFlags {
  /** The run file. */
  readonly config?: string;
  readonly weights?: string;
}

const WEIGHTS_KINDS = "checkpoint folder, GGUF file or safetensors with the parameters' names";
const GIVE_WEIGHTS = `give --weights a ${WEIGHTS_KINDS}`;

/** Whether a module is the program Node runs: in a worker, none is. */
export function isProgram(module: string): boolean {
  const [, program] = process.argv;
  return isMainThread && program !== undefined && realpathSync(program) === realpathSync(fileURLToPath(module));
}

/** Parses the process's arguments and trains; errors end as one sentence on stderr and exit code 1. */
export async function runCommandLine(trainer: PackageFacts, train: Train): Promise<void> {
  speakInFlags();
  outliveReaders();
  const command = new Command('trainer.js')
    .description(`trains ${trainer.name}: ${trainer.units.length} units that may lose their backward in a step`)
    .option('--weights <path>', `${WEIGHTS_KINDS}; without it all parameters are drawn anew, but for a low-rank adapter, which needs it`)
    .option('--config <file>', 'run.yaml with any key of a run; flags go over them');
  eachOnce(addRunFlags(command)).action(async (flags: Flags) => {
    const { config: file, weights } = flags;
    const keys = runInput(namedRunFile(file, say), flags);
    await commandRun(flags, (hooks) => train({ ...keys, ...(weights === undefined ? {} : { weights }), ...hooks, file, named: file ?? 'the command line' }));
  });
  try {
    await command.parseAsync();
  } catch (error) {
    say(error instanceof EbbError ? `${trainer.name}: ${error.message}` : `${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exit(1);
  }
}

/** Sizes of a run where nothing is asked for: those that were compiled for. */
const compiledSizes = ({ B = 1, T = 1 }: PackageFacts['bounds']): BatchSizes => ({ batch: B, length: T });

/** The keys of a run, without how it is watched. */
function keysOf({
  onProgress: _onProgress,
  signal: _signal,
  resume: _resume,
  accept: _accept,
  extend: _extend,
  file: _file,
  named: _named,
  ...keys
}: RunOptions): Partial<RunInput> {
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined));
}

/** The config of a run; batch, length and precision are those it was compiled for, unless given. @throws EbbError naming every key that is wrong */
function runConfig(keys: Partial<RunInput>, { bounds, dropRate = 0 }: PackageFacts, { about }: LoadedTrainer, file: string): RunConfig {
  const { weights } = keys;
  const input = {
    model: '',
    ...compiledSizes(bounds),
    matmulPrecision: about.matmulPrecision ?? 'f32',
    ...(dropRate > 0 ? { drop: { kind: 'uniform', rate: dropRate } } : {}),
    ...keys,
    ...(weights === undefined ? {} : { model: weights, weights: undefined }),
  };
  return parseConfig(input, file);
}

/** @throws EbbError for a key that asks for another trainer than was compiled */
function checkCompiled({ about }: LoadedTrainer, { lora, matmulPrecision }: Partial<RunInput>, file: string): void {
  const compiled = about.lora;
  const precision = about.matmulPrecision ?? 'f32';
  const wants = (what: string, found: unknown, own: unknown): never => {
    throw new EbbError(
      `${file}: ${what} is ${JSON.stringify(found)}, this trainer was compiled for ${JSON.stringify(own)}; compile the model again for another`,
    );
  };
  if (matmulPrecision !== undefined && matmulPrecision !== precision) wants('matmulPrecision', matmulPrecision, precision);
  if ((typeof lora === 'object' || lora === true) && compiled === null) wants('lora', lora, false);
  if (lora === false && compiled !== null) wants('lora', false, 'a low-rank adapter');
  if (typeof lora !== 'object' || compiled === null) return;
  if (lora.from === undefined)
    for (const key of ['rank', 'alpha', 'rslora', 'dropout'] as const)
      if (lora[key] !== undefined && lora[key] !== compiled[key]) wants(`lora.${key}`, lora[key], compiled[key]);
  const { layers } = lora;
  const missed = layers && Object.keys(compiled.layers).find((layer) => !picomatch(layers, { dot: true })(layer));
  if (missed !== undefined) wants('lora.layers', layers, `${missed} too`);
}

/** Adapter weights to start from. @throws EbbError when its layers, ranks or scales are others than the compiled ones */
function adapterStart(adapter: LoadedAdapter, compiled: AdapterAbout, { params }: LoadedTrainer['program']): LoadedAdapter['weights'] {
  const { settings, weights, path: folder } = adapter;
  const of = (layers: AdapterAbout['layers'], layer: string): AdapterAbout['layers'][string] | undefined =>
    Object.hasOwn(layers, layer) ? layers[layer] : undefined;
  const text = (layers: AdapterAbout['layers'], layer: string): string => {
    const own = of(layers, layer);
    return own ? `rank ${own.rank} and scale ${own.scale}` : 'no adapter';
  };
  for (const layer of new Set([...Object.keys(settings.layers), ...Object.keys(compiled.layers)])) {
    const [found, expected] = [of(settings.layers, layer), of(compiled.layers, layer)];
    if (found?.rank !== expected?.rank || Math.abs((found?.scale ?? 0) - (expected?.scale ?? 0)) > 1e-9)
      throw new EbbError(
        `${folder}: layer ${layer} has ${text(settings.layers, layer)}, this trainer was compiled for ${text(compiled.layers, layer)}; compile with --adapter ${folder}`,
      );
  }
  checkAdapter(adapter, params, 'lora.from');
  return weights;
}

function startingWeights(config: RunConfig, model: LoadedTrainer, watch: Watch): DiskWeights {
  const { about, program } = model;
  const weights = config.model === '' ? NO_WEIGHTS : openWeights(config.model, (path) => openForCompiled(path, model));
  if (about.lora) requireWeights(about.name, weights, GIVE_WEIGHTS);
  tellNotes(watch, config.model, weights.checkpoint?.notes ?? []);
  const adapter = adapterToGoOn(config.lora);
  tellAdapter(watch, adapter, config.model);
  return adapter === null || about.lora === null ? weights : { ...weights, adapter: adapterStart(adapter, about.lora, program) };
}

/** Opens a run of a compiled model by its config. @throws EbbError for weights, data, a folder or a device that cannot be used */
export async function openPackageRun(loaded: LoadedTrainer, given: RunConfig, { device }: CommandDevice, hooks: TrainHooks): Promise<OpenRun> {
  const config = settled(given, hooks);
  checkRequirements(loaded.requires, device.profile);
  const { about, program } = loaded;
  const weights = startingWeights(config, loaded, hooks);
  const tokenizer = (): string => {
    if (!weights.checkpoint)
      throw new EbbError(`${config.data}: text needs the model's tokenizer; give --weights a checkpoint folder or GGUF file, or ready batches as data`);
    return weights.checkpoint.path;
  };
  const bounds = Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));
  const { vocabSize, maxPosition, relativePositions } = about;
  const subject = { inputs: program.inputs, vocabSize, maxPosition, relativePositions, tokenizer, usual: compiledSizes(bounds) };
  const ready: TrainingRun['ready'] = (engine, driverMs) =>
    `${about.name}: ${unitsOf(engine).length} units, ${program.pipelines.length} kernels; driver ${driverMs.toFixed(0)} ms; on ${device.profile.name}`;
  return openOverData(
    config,
    subject,
    (data) => {
      checkBounds(config.data, { B: data.batch, T: data.length }, bounds, { batch: 'lower --batch', length: 'lower --length' });
      return openEngineRun({ config, model: loaded, weights, data, plan: loaded.planText, ebb: `plan ${PLAN_VERSION}`, device, ready }, hooks);
    },
    hooks,
  );
}

/** Opens a run of a compiled model on a device of this machine. @throws EbbError for options, data, weights, a folder or a device that cannot be used */
export async function openTrainerRun(trainer: PackageFacts, options: RunOptions): Promise<OpenRun> {
  const { resume, accept, extend, onProgress, signal, file, named = file ?? 'the options of the run' } = options;
  const loaded = await loadPackage(trainer);
  const keys = keysOf(options);
  const config = runConfig(keys, trainer, loaded, named);
  checkCompiled(loaded, keys, named);
  const going = { resume, accept, extend };
  checkRunFolder(config, going, file);
  return openClaimed(config.out, async (claim) =>
    openHeld(await during({ onProgress }, 'opening the device', () => holdDevice(config.device)), (device) =>
      openPackageRun(loaded, config, device, { onProgress, signal, ...going, claim }),
    ),
  );
}

/** Trains all steps of a run, and saves what was trained: what trainers do that bring no loop of their own. @throws EbbError as `openTrainerRun` does */
export async function trainPackage(trainer: PackageFacts, options: RunOptions): Promise<TrainReport> {
  return trainAll(await openTrainerRun(trainer, options));
}
