/** @file The library's functions over whole models besides `finetune` and `loadModel`: compile, plan, tune, inspect, analyze. Each is what the command of its name does. */

import type { AnalysisSizes } from '../analyze/measure.ts';
import type { AnalyzeReport } from '../analyze/report.ts';
import { SAMPLINGS } from '../analyze/settings.ts';
import { deviceTraits } from '../codegen/kernel/device.ts';
import type { MatmulPrecision } from '../codegen/kernel/matmul/work.ts';
import type { StoredType } from '../formats/storedType.ts';
import type { View } from '../inspect/views.ts';
import { parseBy } from '../issues.ts';
import type { CommandDevice } from '../node/device.ts';
import type { Watch } from '../run/progress.ts';
import type { DeviceProfile } from '../runtime/deviceProfile.ts';
import { type RunInput, runSchema } from '../train/config.ts';
import { analyzeRun } from './analyze.ts';
import { type CompileReport, compileTo } from './compile.ts';
import { compileDevice } from './compileDevice.ts';
import { type OnDevice, onDevice } from './device.ts';
import { configOf, type FinetuneOptions } from './finetune.ts';
import { type InspectOptions, inspectModel } from './inspect.ts';
import { type PlanReport, planRun } from './plan.ts';
import type { LoraOptions } from './session.ts';
import { checkSizes, describeSource, nameOf } from './source.ts';
import { adaptersOf } from './train.ts';
import { knownSchedules, type Tuned, tuneModel } from './tune.ts';

/** What a model is traced for. */
export interface ModelSizes {
  /** Most sequences at once. Default: as the definition says, else 2. */
  readonly batch?: number;
  /** Most tokens of a sequence. Default: as the definition says, else 256. */
  readonly length?: number;
  /** A low-rank adapter instead of all weights: true, or its settings. */
  readonly lora?: RunInput['lora'];
  /** The type that weights are taken to have where only a configuration describes them. Default: as the configuration says. */
  readonly dtype?: StoredType;
}

/** @throws EbbError naming the setting that is wrong */
function loraOptions(lora: RunInput['lora']): LoraOptions | null {
  return adaptersOf(parseBy(runSchema.shape.lora, lora, 'lora', 'docs/training.md lists its settings')).lora;
}

/** How a package is compiled. */
export interface PackageOptions extends ModelSizes, Watch {
  /** The folder to write. Default: the model's name and `-trainer`. */
  readonly out?: string;
  /** A device of this machine, a built-in profile (`nvidia`, `amd`, `apple`, `intel`), a profile's file (.json), a profile, or `portable`. Default `auto`. */
  readonly device?: string | DeviceProfile;
  /** The trainer's drop rate where a run names none. */
  readonly dropRate?: number;
  /** What operands of matrix products may be rounded to. Default `f32`. */
  readonly matmulPrecision?: MatmulPrecision;
  /** Whether the runtime is bundled, so that the folder needs only the package webgpu. */
  readonly standalone?: boolean;
}

/**
 * Compiles a checkpoint or a definition into a folder that trains it.
 * @throws EbbError for a model that cannot be trained, a device that is not there, and a folder that cannot be written
 */
export async function compile(model: string, options: PackageOptions = {}): Promise<CompileReport> {
  const { device, standalone = false, batch = null, length = null, dropRate = null, matmulPrecision = 'f32', dtype } = options;
  const flags = {
    out: options.out ?? `${nameOf(model)}-trainer`,
    batch,
    length,
    dropRate,
    matmulPrecision,
    dtype,
    standalone,
    lora: loraOptions(options.lora),
  };
  if (typeof device === 'object') return compileTo(model, flags, { profile: device, schedules: null }, options);
  const choice = compileDevice({ device, mayBeProfile: true, standalone });
  if ('profile' in choice) return compileTo(model, flags, { profile: choice.profile, schedules: null }, options);
  return onDevice(choice.open, (opened) => compileTo(model, flags, { profile: opened.device.profile, schedules: knownSchedules(opened) }, options));
}

/** Says what device memory a run takes, to the byte, without running it. @throws EbbError for a run that cannot be */
export async function plan(options: FinetuneOptions & { readonly dtype?: StoredType }): Promise<PlanReport> {
  const { dtype, ...run } = options;
  const config = configOf(run);
  return onDevice(options.device ?? config.device, (device) => planRun(config, device, dtype, options));
}

/** What is measured, for how long. */
export interface TuneOptions extends ModelSizes, OnDevice, Watch {
  /** Most seconds that measuring may take. Default 300. */
  readonly seconds?: number;
  readonly matmulPrecision?: MatmulPrecision;
}

/** Measures how a model's kernels are cut best on a device, and keeps what was found for later runs. @throws EbbError for a model or a device that cannot be used */
export async function tune(model: string, options: TuneOptions = {}): Promise<Tuned> {
  const { seconds = 300, batch = null, length = null, dtype, matmulPrecision = 'f32' } = options;
  return onDevice(options.device, async (device) => {
    const source = await describeSource(model, dtype, options);
    checkSizes(model, source, { batch, length });
    const traced = source.trace({ batch, length, lora: loraOptions(options.lora) });
    return tuneModel(traced, { ...device, matmulPrecision }, seconds, options);
  });
}

/** What of a model is shown: a stage of its IR, the calls of a pattern, or the difference of two. */
export interface InspectModelOptions
  extends ModelSizes,
    OnDevice,
    Watch,
    Pick<InspectOptions, 'stage' | 'drop' | 'remat' | 'skip' | 'dropRate' | 'diff' | 'function' | 'unit' | 'cost' | 'locs'> {
  readonly seed?: number;
}

/** Shows the IR of a checkpoint or a definition, as text and as JSON. @throws EbbError for a model that cannot be traced, and names that it does not have */
export async function inspect(model: string, options: InspectModelOptions = {}): Promise<View> {
  const { seed = 0, lora, device, ...given } = options;
  const subject = ({ device: { profile } }: CommandDevice): Pick<InspectOptions, 'traits' | 'maxBuffers'> => ({
    traits: deviceTraits({ profile }),
    maxBuffers: profile.limits.maxStorageBuffersPerShaderStage,
  });
  return onDevice(device, (opened) => inspectModel(model, { ...given, ...subject(opened), seed, lora: loraOptions(lora) }));
}

/** Measures what dropping would save of a run and what it would do to the gradient, and says which rate pays. It trains nothing. @throws EbbError as `finetune` does */
export async function analyze(options: FinetuneOptions & Partial<AnalysisSizes> & { readonly runs?: readonly string[] }): Promise<AnalyzeReport> {
  const { rates = [0.25, 0.5, 0.75, 0.875], spreads = null, samplings = SAMPLINGS, batches = 4, patterns = 8, rounds = 3, runs = [], ...run } = options;
  const config = configOf(run);
  const sizes = { rates: [...rates].sort((a, b) => a - b), spreads, samplings, batches, patterns, rounds, runs };
  return onDevice(options.device ?? config.device, (device) => analyzeRun(config, device, sizes, options));
}
