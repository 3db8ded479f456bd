/** @file `plan.json`: a compiled model as a file, kernels beside it. docs/plan.md describes every field. */

import { EbbError } from '../errors.ts';
import type { GgufPlace } from '../formats/layout.ts';
import type { AdapterKind } from './adapterKind.ts';
import { type DeviceProfile, subgroupSizeOf } from './deviceProfile.ts';
import type { MatrixProduct } from './matrices.ts';
import { type PipelineDecl, PROGRAM_VERSION, type Program } from './program.ts';

/** Name and version of the format; other versions are refused by name. */
export const PLAN_FORMAT = 'ebb-plan';
export const PLAN_VERSION = 1;

/** A low-rank adapter: its settings, and which layers it lies on. */
export interface AdapterSettings {
  readonly rank: number;
  readonly alpha: number;
  readonly rslora: boolean;
  readonly dropout: number;
  /** Every adapted layer: its rank, and what B·A·x is multiplied by. */
  readonly layers: Readonly<Record<string, { readonly rank: number; readonly scale: number }>>;
}

/** A low-rank adapter as it was compiled, and what Python's peft is told of it. */
export interface AdapterAbout extends AdapterSettings {
  /** The shortest list of names that means these layers: ends of their names where those suffice. */
  readonly targetModules: readonly string[];
  /** Whether the weights under it are stored [in, out], as transformers' Conv1D does. */
  readonly fanInFanOut: boolean;
}

/** How checkpoints hold a compiled model, so that its trainer finds the tensors without knowing the model's family. */
export interface CheckpointAbout {
  /** The model's config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** What that config.json means where it says nothing, so that every field can be compared; plans of earlier versions do not say. */
  readonly assumed?: {
    /** What a field means where a file leaves it out; one that is not in here has no default. */
    readonly absent: Readonly<Record<string, unknown>>;
    /** What a field means where it is null. */
    readonly nulls: Readonly<Record<string, unknown>>;
    /** Fields that say something; any other is refused where its name sounds like mathematics, and else named as not used. */
    readonly read: readonly string[];
    /** Fields that are supported at one value alone. */
    readonly only: Readonly<Record<string, unknown>>;
  };
  /** The beginning of tensors' names that a checkpoint of the bare model leaves out (`model.`). */
  readonly prefix: string;
  /** Names, or ends of names from a dot on, of tensors that may lie in a checkpoint and are not read. */
  readonly computed: readonly string[];
  /** The head, and what files may call the embedding that it may be tied to; plans of earlier versions do not say. */
  readonly head?: { readonly name: string; readonly embedding: readonly string[] } | null;
  /** Where a GGUF file holds each parameter, by the parameter's name; null where Ebb reads no such files of the model's family. */
  readonly gguf: { readonly architecture: string; readonly places: Readonly<Record<string, GgufPlace>> } | null;
}

/** What a program was made of. */
export interface ModelAbout {
  readonly name: string;
  /** The family of a checkpoint's model, `definition` for a definition's. */
  readonly kind: string;
  readonly lora: AdapterAbout | null;
  /** How checkpoints hold it; null for a definition, whose weights lie under the parameters' names. */
  readonly checkpoint: CheckpointAbout | null;
  /** Tokens and positions of a language model; null where there is no such bound. */
  readonly vocabSize: number | null;
  readonly maxPosition: number | null;
  /** Whether the model knows of two tokens only how far they are from each other, so that a row may hold several sequences; where it is missing it is not known. */
  readonly relativePositions?: boolean;
  /** What operands of matrix products may be rounded to; f32 where it is missing. */
  readonly matmulPrecision?: 'f32' | 'f16';
}

/** What a device must be like for the kernels to be right on it. */
export interface Requirements {
  /** Kind of device the schedules were chosen for. */
  readonly kind: AdapterKind | 'portable';
  /** The name of the device or profile that the model was compiled for; plans of before version 0.2 do not say. */
  readonly device?: string;
  /** Exact lanes of a subgroup, where kernels count on them. */
  readonly subgroupSize: number | null;
  /** Products of matrices that kernels have subgroups do; plans of before version 0.2 do not say. */
  readonly matrices?: readonly MatrixProduct[];
  readonly features: readonly string[];
  /** Least limits, by WebGPU's names. */
  readonly limits: Readonly<Record<string, number>>;
}

/** A pipeline whose kernel lies in a file. */
export type StoredPipeline = Omit<PipelineDecl, 'code'> & { readonly file: string };

/** `plan.json` as data (docs/plan.md). */
export interface Plan extends Omit<Program, 'pipelines' | 'version'> {
  readonly format: typeof PLAN_FORMAT;
  readonly version: number;
  readonly program: number;
  readonly about: ModelAbout;
  readonly requires: Requirements;
  readonly pipelines: readonly StoredPipeline[];
}

/** A program read back. */
export interface LoadedPlan {
  readonly program: Program;
  readonly about: ModelAbout;
  readonly requires: Requirements;
}

/** The lists that every plan has. */
const LISTS = ['dims', 'pipelines', 'functions', 'calls', 'values', 'inputs', 'states', 'params', 'results'] as const;
const OBJECTS = ['about', 'requires', 'updates'] as const;
const TEXTS = ['target'] as const;

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
const isText = (value: unknown): value is string => typeof value === 'string';

/** Whether a text is a plan of any version. */
export function isPlan(text: string): boolean {
  try {
    const plan: unknown = JSON.parse(text);
    return isObject(plan) && 'format' in plan && plan.format === PLAN_FORMAT;
  } catch {
    return false;
  }
}

/** Reads `plan.json`. @throws EbbError for what is no plan, for another version, and for a plan that lacks a part */
export function parsePlan(text: string, where = 'plan.json'): Plan {
  let plan: Partial<Plan>;
  try {
    const parsed: unknown = JSON.parse(text);
    plan = isObject(parsed) ? parsed : {};
  } catch (error) {
    throw new EbbError(`${where}: is no JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  if (plan.format !== PLAN_FORMAT)
    throw new EbbError(`${where}: format is ${JSON.stringify(plan.format)}, expected "${PLAN_FORMAT}"; give a folder that ebb compile wrote`);
  for (const [field, found, expected] of [
    ['version', plan.version, PLAN_VERSION],
    ['program', plan.program, PROGRAM_VERSION],
  ] as const)
    if (found !== expected)
      throw new EbbError(`${where}: ${field} is ${JSON.stringify(found)}, this Ebb reads ${expected}; compile the model again with this Ebb`);
  for (const [fields, isThere, expected] of [
    [LISTS, Array.isArray, 'a list'],
    [OBJECTS, isObject, 'an object'],
    [TEXTS, isText, 'a text'],
  ] as const)
    for (const field of fields)
      if (!isThere(plan[field]))
        throw new EbbError(`${where}: ${field} is ${JSON.stringify(plan[field]) ?? 'missing'}, expected ${expected}; compile the model again with this Ebb`);
  return plan as Plan;
}

/** A plan's program, with the kernels' texts by file. @throws EbbError for a kernel that is missing */
export function planProgram(plan: Plan, kernels: ReadonlyMap<string, string>, where = 'plan.json'): LoadedPlan {
  const { format: _format, version: _version, program: version, about, requires, pipelines, ...rest } = plan;
  const compiled = pipelines.map(({ file, ...pipeline }): PipelineDecl => {
    const code = kernels.get(file);
    if (code === undefined) throw new EbbError(`${where}: kernel ${file} is missing beside it; compile the model again`);
    return { ...pipeline, code };
  });
  return { program: { ...rest, version, pipelines: compiled }, about, requires };
}

/** The stored form of a program. `file`: where a pipeline's kernel is written. */
export function makePlan({ program, about, requires }: LoadedPlan, file: (pipeline: PipelineDecl, index: number) => string): Plan {
  const { version, pipelines, ...rest } = program;
  return {
    format: PLAN_FORMAT,
    version: PLAN_VERSION,
    program: version,
    about,
    requires,
    ...rest,
    pipelines: pipelines.map((pipeline, i): StoredPipeline => {
      const { code: _code, ...stored } = pipeline;
      return { ...stored, file: file(pipeline, i) };
    }),
  };
}

const sameProduct = (a: MatrixProduct, b: MatrixProduct): boolean => a.m === b.m && a.n === b.n && a.k === b.k && a.input === b.input;

/** Says as the end of a sentence what a device lacks that a plan requires. Null where it lacks nothing. */
function lackOf({ features, subgroupSize, matrices = [], limits }: Requirements, device: DeviceProfile): string | null {
  const feature = features.find((name) => !device.features.includes(name));
  if (feature !== undefined) return `lacks the feature ${feature}`;
  const found = subgroupSizeOf(device);
  if (subgroupSize !== null && subgroupSize !== found)
    return `has ${found === null ? 'no one size of subgroups' : `subgroups of ${found} lanes`}, not of ${subgroupSize}`;
  const product = matrices.find((wanted) => !device.matrices?.shapes.some((shape) => sameProduct(shape, wanted)));
  if (product) return `multiplies no matrices of ${product.m} × ${product.k} and ${product.k} × ${product.n} in ${product.input}`;
  const own: Readonly<Record<string, number>> = device.limits;
  const limit = Object.entries(limits).find(([name, least]) => !(own[name] !== undefined && own[name] >= least));
  return limit ? `has ${limit[0]} ${own[limit[0]] ?? 'unknown'}, less than ${limit[1]}` : null;
}

/** Whether a device can run a plan. @throws EbbError that names the device, and what it lacks of what the kernels require */
export function checkRequirements(requires: Requirements, device: DeviceProfile): void {
  const lack = lackOf(requires, device);
  if (lack === null) return;
  const made = requires.device === undefined ? requires.kind : `${requires.kind} (${requires.device})`;
  throw new EbbError(
    `the trainer was compiled for ${made}, and this device, ${device.name}, ${lack}; compile the model for this device (ebb compile --device auto), or for any (--device portable)`,
  );
}
