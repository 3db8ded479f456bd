/** @file The library's functions over whole models besides `finetune` and `loadModel`: compile, plan, tune, analyze. Each is what the command of its name does. */

import { z } from 'zod';
import type { AnalysisSizes } from '../analyze/measure.ts';
import type { AnalyzeReport } from '../analyze/report.ts';
import { SAMPLINGS, SPREADS } from '../analyze/settings.ts';
import type { MatmulPrecision } from '../codegen/kernel/matmul/work.ts';
import { PORTABLE } from '../compile/devices/builtIn.ts';
import { EbbError, option } from '../errors.ts';
import { STORED_TYPE_NAMES, type StoredType } from '../formats/storedType.ts';
import { checkOptions, type OptionShape } from '../issues.ts';
import type { CommandDevice } from '../node/device.ts';
import type { Watch } from '../run/progress.ts';
import type { DeviceProfile } from '../runtime/deviceProfile.ts';
import { tuningAllowed } from '../tune/file.ts';
import { analyzeRun } from './analyze.ts';
import { type CompileReport, compileTo } from './compile.ts';
import { compileDevice } from './compileDevice.ts';
import { type OnDevice, onDevice } from './device.ts';
import { loraOptions, type ModelSizes } from './modelSizes.ts';
import { flag, MODEL_SIZES, names, ON_DEVICE, oneOf, text, WATCH, whole, within } from './optionKinds.ts';
import { type PlanReport, planRun } from './plan.ts';
import { tellPrecision } from './precision.ts';
import { configOf, type RunOptions } from './runOptions.ts';
import { checkSizes, describeSource, nameOf } from './source.ts';
import { knownSchedules, type Tuned, tuneModel } from './tune.ts';

/** How a package is compiled. */
export interface PackageOptions extends ModelSizes, Watch {
  /** The folder to write. Default: the model's name and `-trainer`. */
  readonly out?: string | undefined;
  /**
   * A device of this machine, a built-in profile (`nvidia`, `amd`, `apple`, `intel`), a profile's file (.json), a profile, or `portable`, which is
   * any WebGPU device. Default `auto`, and `portable` with `standalone`.
   */
  readonly device?: string | DeviceProfile | CommandDevice | undefined;
  /** The trainer's drop rate where a run names none. */
  readonly dropRate?: number | undefined;
  /** What operands of matrix products may be rounded to. Default `f32`. */
  readonly matmulPrecision?: MatmulPrecision | undefined;
  /** Whether the trainer is to take rows of several sequences, of a model that is given positions. Other models' trainers take them anyway. */
  readonly pack?: boolean | undefined;
  /** Whether the runtime is bundled, so that the folder needs only the package webgpu. */
  readonly standalone?: boolean | undefined;
}

const PRECISION = oneOf(['f32', 'f16']);
const PACKAGE: OptionShape<PackageOptions> = {
  ...MODEL_SIZES,
  ...WATCH,
  out: text.optional(),
  device: z.custom((value) => typeof value === 'string' || (typeof value === 'object' && value !== null), 'expected a name or a profile').optional(),
  dropRate: within(0, 1),
  matmulPrecision: PRECISION,
  pack: flag,
  standalone: flag,
};

/**
 * Compiles a checkpoint or a definition into a folder that trains it.
 * @throws EbbError for a model that cannot be trained, a device that is not there, and a folder that cannot be written
 */
export async function compile(model: string, options: PackageOptions = {}): Promise<CompileReport> {
  checkOptions('compile()', { model }, { model: text });
  checkOptions('compile()', options, PACKAGE);
  const { device, standalone = false, pack = false, batch = null, length = null, dropRate = null, matmulPrecision = 'f32', dtype } = options;
  const flags = {
    out: options.out ?? `${nameOf(model)}-trainer`,
    batch,
    length,
    dropRate,
    matmulPrecision,
    dtype,
    pack,
    standalone,
    lora: loraOptions(options.lora),
  };
  const choice = typeof device === 'object' ? ('device' in device ? { open: device } : { profile: device }) : compileDevice({ device, standalone });
  if ('open' in choice)
    return onDevice(choice.open, options, (opened) => {
      tellPrecision(options, matmulPrecision, opened.device.profile);
      return compileTo(model, flags, { profile: opened.device.profile, schedules: knownSchedules(opened) }, options);
    });
  const { profile } = choice;
  if (matmulPrecision === 'f16' && profile === PORTABLE)
    throw new EbbError(
      `${option('matmulPrecision')} f16 needs the matrices of a device, which portable kernels do not use; name one by ${option('device')}, or leave ${option('matmulPrecision')} out`,
      'config',
    );
  tellPrecision(options, matmulPrecision, profile);
  return compileTo(model, flags, { profile, schedules: null }, options);
}

/** A run that is planned. */
export interface PlanOptions extends RunOptions {
  /** The type that weights are taken to have where only a configuration describes them. Default: as the configuration says. */
  readonly dtype?: StoredType | undefined;
}

/** Says what device memory a run takes, to the byte, without running it. @throws EbbError for a run that cannot be */
export async function plan(options: PlanOptions): Promise<PlanReport> {
  const config = configOf('plan()', options, { dtype: oneOf(STORED_TYPE_NAMES) });
  const { dtype } = options;
  return onDevice(options.device ?? config.device, options, (device) => planRun(config, device, dtype, options));
}

/** What is measured, for how long. */
export interface TuneOptions extends ModelSizes, OnDevice, Watch {
  /** Most seconds that measuring may take. Default 300. */
  readonly seconds?: number | undefined;
  readonly matmulPrecision?: MatmulPrecision | undefined;
}

const TUNE: OptionShape<TuneOptions> = { ...MODEL_SIZES, ...ON_DEVICE, ...WATCH, seconds: within(0), matmulPrecision: PRECISION };

/** Measures how a model's kernels are cut best on a device, and keeps what was found for later runs. @throws EbbError for a model or a device that cannot be used */
export async function tune(model: string, options: TuneOptions = {}): Promise<Tuned> {
  checkOptions('tune()', { model }, { model: text });
  checkOptions('tune()', options, TUNE);
  const { seconds = 300, batch = null, length = null, dtype, matmulPrecision = 'f32' } = options;
  if (!tuningAllowed()) throw new EbbError('EBB_TUNE=off turns tuning off; unset it to measure', 'config');
  return onDevice(options.device, options, async (device) => {
    tellPrecision(options, matmulPrecision, device.device.profile);
    const source = await describeSource(model, dtype, options);
    checkSizes(model, source, { batch, length });
    const traced = source.trace({ batch, length, lora: loraOptions(options.lora) });
    return tuneModel(traced, { ...device, matmulPrecision }, seconds, options);
  });
}

type Absent<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** What is measured. */
export interface AnalyzeRunOptions extends RunOptions, Absent<AnalysisSizes> {
  /** Folders of runs whose losses are shown side by side. */
  readonly runs?: readonly string[] | undefined;
}

const SIZES: OptionShape<Omit<AnalyzeRunOptions, keyof RunOptions>> = {
  rates: z.array(z.number().gt(0).max(1)).min(1).optional(),
  spreads: z
    .array(z.enum([...SPREADS]))
    .min(1)
    .nullish(),
  samplings: z
    .array(z.enum([...SAMPLINGS]))
    .min(1)
    .optional(),
  batches: whole(1),
  patterns: whole(2),
  rounds: whole(1),
  runs: names,
};

/** Measures what dropping would save of a run and what it would do to the gradient, and says which rate pays. It trains nothing. @throws EbbError as `finetune` does */
export async function analyze(options: AnalyzeRunOptions): Promise<AnalyzeReport> {
  const config = configOf('analyze()', options, SIZES);
  const { rates = [0.25, 0.5, 0.75, 0.875], spreads = null, samplings = SAMPLINGS, batches = 4, patterns = 8, rounds = 3, runs = [] } = options;
  const sizes = { rates: [...rates].sort((a, b) => a - b), spreads, samplings, batches, patterns, rounds, runs };
  return onDevice(options.device ?? config.device, options, (device) => analyzeRun(config, device, sizes, options));
}

export type { CompileReport } from './compile.ts';
