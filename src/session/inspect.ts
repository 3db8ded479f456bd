/** @file `inspect`: opens a model or a dump, and hands it to src/inspect/. */

import { basename, relative, resolve } from 'node:path';
import { deviceTraits } from '../codegen/kernel/device.ts';
import { uniformDrop } from '../dropbp/uniformDrop.ts';
import { EbbError, option } from '../errors.ts';
import { readText } from '../formats/files.ts';
import type { NamedText } from '../inspect/diff.ts';
import { pageData, pageHtml } from '../inspect/html.ts';
import { checkUnits, patternOf } from '../inspect/patterns.ts';
import { type Inspected, inspect as inspectStages, type Scope, stageText, TEXT_STAGES, type TextStage } from '../inspect/stages.ts';
import { diffSides, dumpText, type PatternOptions, patternDiff, patternView, stageView, type TextSide, textDiff, type View } from '../inspect/views.ts';
import { checkOptions, type OptionShape } from '../issues.ts';
import { trainingMode } from '../models/inputs.ts';
import type { CommandDevice } from '../node/device.ts';
import { tellAdapter } from '../run/adapter.ts';
import type { Watch } from '../run/progress.ts';
import type { Pattern } from '../runtime/link/forms.ts';
import { captureLocations } from '../trace/location.ts';
import type { TracedModel } from '../trace/trace.ts';
import { type OnDevice, onDevice } from './device.ts';
import { checkWay, isDump, wayOf } from './inspectWays.ts';
import { loraOptions, type ModelSizes } from './modelSizes.ts';
import { flag, MODEL_SIZES, names, ON_DEVICE, oneOf, text, WATCH, whole, within } from './optionKinds.ts';
import { measureModel } from './profile.ts';
import { traceCheckpoint } from './session.ts';
import { checkSizes, describeCheckpoint, describeSource, isDefinition } from './source.ts';

export const STAGES = [...TEXT_STAGES, 'plan'] as const;
type Stage = (typeof STAGES)[number];

/** What of a model is shown: a stage of its IR, the calls of a pattern, the difference of two, or what its kernels take. */
export interface InspectOptions extends ModelSizes, OnDevice, Watch {
  /** Default `trace`; `plan`, the calls, where a pattern is given. */
  readonly stage?: Stage | undefined;
  /** Units without a backward. */
  readonly drop?: readonly string[] | undefined;
  /** Units whose forward runs again in backward. */
  readonly remat?: readonly string[] | undefined;
  /** Units that are left out of forward too. */
  readonly skip?: readonly string[] | undefined;
  /** A pattern is drawn with this rate. */
  readonly dropRate?: number | undefined;
  /** Seed of the pattern that is drawn. Default 0. */
  readonly seed?: number | undefined;
  /** Two stages, two patterns (`none`, or units between commas) or two dumps. */
  readonly diff?: readonly string[] | undefined;
  /** Only this function and its forms. */
  readonly function?: string | undefined;
  /** Only the functions of this call, with the names of its weights and values. */
  readonly unit?: string | undefined;
  /** FLOPs and bytes behind each line. */
  readonly cost?: boolean | undefined;
  /** The source line behind each op. */
  readonly locs?: boolean | undefined;
  /** Runs a step on the device and times every kernel. */
  readonly measure?: boolean | undefined;
}

/** What a page shows. */
export type InspectPageOptions = Omit<InspectOptions, 'stage' | 'diff' | 'function' | 'unit' | 'cost' | 'measure'>;

const SHAPE: OptionShape<InspectOptions> = {
  ...MODEL_SIZES,
  ...ON_DEVICE,
  ...WATCH,
  stage: oneOf(STAGES),
  drop: names,
  remat: names,
  skip: names,
  dropRate: within(0, 1),
  seed: whole(0),
  diff: names,
  function: text.optional(),
  unit: text.optional(),
  cost: flag,
  locs: flag,
  measure: flag,
};

/** The options that are given and choose what is shown. */
const givenOf = (options: InspectOptions): readonly string[] =>
  Object.entries(options).flatMap(([name, value]) => (value === undefined || value === false || Object.hasOwn(WATCH, name) ? [] : [name]));

const scopeOf = ({ function: name, unit }: { readonly function?: string | undefined; readonly unit?: string | undefined }): Scope => ({
  function: name?.replace(/^@/, ''),
  unit,
});

type DumpOptions = Pick<InspectOptions, 'function' | 'cost'>;

/** Shows a dump as it is, or one function of it. @throws EbbError for a dump that is wrong, and for a function that it does not hold */
function inspectDump(path: string, options: DumpOptions = {}): View {
  const text = dumpText(readText(path), path, scopeOf(options), options.cost);
  return { text, json: { text }, language: 'ir' };
}

/** Shows the difference of two dumps. @throws EbbError as `inspectDump` does */
function diffDumps([a, b]: readonly [TextSide, TextSide], options: DumpOptions): View {
  return textDiff({ name: a.name, text: inspectDump(a.name, options).text }, { name: b.name, text: inspectDump(b.name, options).text });
}

/** Traces a definition or a checkpoint, whose weights may be missing. The length may exceed the positions that a checkpoint was trained for. */
async function traceFor(path: string, { lora: wanted, batch, length, dtype, ...watch }: InspectOptions): Promise<TracedModel> {
  const lora = loraOptions(wanted);
  tellAdapter(watch, lora?.existing, path);
  if (isDefinition(path)) {
    const source = await describeSource(path, dtype, watch);
    const sizes = { batch: batch ?? null, length: length ?? null };
    checkSizes(path, source, sizes);
    return source.trace({ ...sizes, lora });
  }
  const checkpoint = await describeCheckpoint(path, dtype, watch);
  const dims = { B: batch ?? 1, T: length ?? 256 };
  return traceCheckpoint(checkpoint, { mode: trainingMode(dims.T), dims, lora, trains: lora ? 'adapter' : 'full' });
}

interface Opened {
  readonly traced: TracedModel;
  /** Compiles the model at the first call, and returns the same at later ones. */
  readonly compiled: () => Inspected;
}

/** Traces a model for training on a device. */
async function openForInspection(path: string, { device }: CommandDevice, options: InspectOptions): Promise<Opened> {
  captureLocations(options.locs ?? false);
  const model = await traceFor(path, options);
  const made = { traits: deviceTraits(device), maxBuffers: device.profile.limits.maxStorageBuffersPerShaderStage };
  let compiled: Inspected | undefined;
  return { traced: model, compiled: () => (compiled ??= inspectStages(model, made)) };
}

interface NamedPattern {
  readonly pattern: Pattern;
  readonly dropped: readonly string[];
}

/** The pattern that the options name or draw. @throws EbbError for an unknown unit */
function patternFrom(options: Pick<InspectOptions, 'drop' | 'remat' | 'skip' | 'dropRate' | 'seed'>, units: readonly string[]): NamedPattern {
  const { dropRate, seed = 0, remat = [], skip = [] } = options;
  const drawn = dropRate === undefined ? [] : uniformDrop(units, dropRate, seed);
  const dropped = options.drop ?? drawn;
  checkUnits(dropped, units, option('drop'));
  checkUnits(remat, units, option('remat'));
  checkUnits(skip, units, option('skip'));
  const both = remat.find((unit) => dropped.includes(unit));
  if (both !== undefined && options.drop !== undefined)
    throw new EbbError(`${option('remat')}: ${both} is dropped too, and a unit without a backward does not run its forward again; name it once`);
  const twice = skip.find((unit) => remat.includes(unit) || options.drop?.includes(unit));
  if (twice !== undefined)
    throw new EbbError(`${option('skip')}: ${twice} is named as dropped or remat too, which a unit without a forward cannot be; name it once`);
  return { pattern: patternOf(dropped, remat, skip), dropped: dropped.filter((unit) => !skip.includes(unit)) };
}

/** The title of a page: the path of a model inside the working folder, or else its last name. */
function pageTitle(path: string): string {
  const inside = relative('', path);
  return inside === '' || inside.startsWith('..') ? basename(resolve(path)) : inside;
}

/**
 * Makes a page of a model to read and click through: its units, graphs, kernels and memory, with the source lines of its values.
 * @throws EbbError for a model that cannot be traced, an unknown unit, and an option that a page does not read
 */
export async function inspectPage(model: string, options: InspectPageOptions = {}): Promise<string> {
  checkOptions('inspectPage()', { model }, { model: text });
  checkOptions<InspectOptions>('inspectPage()', options, SHAPE);
  checkWay('page', givenOf(options));
  return onDevice(options.device, options, async (opened) => {
    const { traced, compiled } = await openForInspection(model, opened, { ...options, locs: true });
    const { pattern } = patternFrom(options, traced.units);
    return pageHtml(await pageData(compiled(), pageTitle(model), traced.module.dims, pattern));
  });
}

/** Runs a step of a model and times every kernel. */
function measured(model: string, options: InspectOptions): Promise<View> {
  const { batch = null, length = null, dtype } = options;
  if (dtype !== undefined)
    throw new EbbError(
      `${option('dtype')}: ${option('measure')} runs the model with its weights, whose headers say how they are stored; leave ${option('dtype')} out`,
    );
  const pattern = (units: readonly string[]): Pattern => patternFrom(options, units).pattern;
  return onDevice(options.device, options, (device) => measureModel(model, device, { batch, length, lora: loraOptions(options.lora), pattern }));
}

/**
 * Shows the IR of a model, or of a dump of one, as text and as JSON.
 * @param model a checkpoint, a definition or a dump (.ebb); null where two dumps are compared
 * @throws EbbError for a model that cannot be traced, names that it does not have, and an option that would not be read
 */
export async function inspect(model: string | null, options: InspectOptions = {}): Promise<View> {
  checkOptions('inspect()', { model }, { model: text.nullable() });
  checkOptions('inspect()', options, SHAPE);
  const sides = options.diff === undefined ? null : diffSides(options.diff);
  if (sides?.kind === 'dumps' && model !== null) throw new EbbError(`${model}: ${option('diff')} compares two dumps and reads no model; leave ${model} out`);
  checkWay(wayOf(model, options, sides), givenOf(options));
  if (sides?.kind === 'dumps') return diffDumps(sides.sides, options);
  if (model === null) throw new EbbError('no model to inspect; expected a checkpoint folder, a GGUF file, a hub id, a definition (.ts) or a .ebb dump');
  if (isDump(model)) return inspectDump(model, options);
  if (options.measure) return measured(model, options);
  return onDevice(options.device, options, (opened) => inspectModel(model, opened, options));
}

/** Shows a model. @throws EbbError for a unit, function or pattern that the model does not have */
async function inspectModel(path: string, opened: CommandDevice, options: InspectOptions): Promise<View> {
  const { traced, compiled } = await openForInspection(path, opened, options);
  options.signal?.throwIfAborted();
  const sizes = traced.module.dims;
  const scope = scopeOf(options);
  const shown = { locs: options.locs ?? false, costs: options.cost ? sizes : undefined };
  const pattern: PatternOptions = { sizes, cost: options.cost ?? false, scope };
  const staged = (stage: TextStage): Parameters<typeof stageText>[0] => (stage === 'trace' ? { traced } : compiled());
  if (options.diff) {
    const found = diffSides(options.diff);
    if (found.kind === 'patterns') return patternDiff(compiled(), ...found.names, pattern);
    const text = ({ kind, name }: TextSide): NamedText => ({
      name,
      text: kind === 'dump' ? inspectDump(name, options).text : stageText(staged(name), name, shown, scope),
    });
    const [a, b] = found.sides;
    return textDiff(text(a), text(b));
  }
  const patterned = [options.drop, options.dropRate, options.remat, options.skip].some((value) => value !== undefined);
  const stage = options.stage ?? (patterned ? 'plan' : 'trace');
  if (stage !== 'plan') return stageView(staged(stage), stage, shown, scope);
  const { pattern: forms, dropped } = patternFrom(options, traced.units);
  return patternView(compiled(), forms, dropped, pattern);
}
