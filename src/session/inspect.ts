/** @file `ebb inspect`: opens a model or a dump, and hands it to src/inspect/. */

import { basename, relative, resolve } from 'node:path';
import type { DeviceTraits } from '../codegen/kernel/device.ts';
import { uniformDrop } from '../dropbp/uniformDrop.ts';
import { EbbError } from '../errors.ts';
import { readText } from '../formats/files.ts';
import type { StoredType } from '../formats/storedType.ts';
import type { NamedText } from '../inspect/diff.ts';
import { pageData, pageHtml } from '../inspect/html.ts';
import { checkUnits, patternOf } from '../inspect/patterns.ts';
import { type Inspected, inspect, type Scope, stageText, TEXT_STAGES, type TextStage } from '../inspect/stages.ts';
import { diffSides, dumpText, type PatternOptions, patternDiff, patternView, stageView, type TextSide, textDiff, type View } from '../inspect/views.ts';
import { trainingMode } from '../models/inputs.ts';
import type { Watch } from '../run/progress.ts';
import type { Pattern } from '../runtime/link/forms.ts';
import { captureLocations } from '../trace/location.ts';
import type { TracedModel } from '../trace/trace.ts';
import { writeHtml } from './htmlFile.ts';
import { type LoraOptions, traceCheckpoint } from './session.ts';
import { checkSizes, describeCheckpoint, describeSource, isDefinition } from './source.ts';

export const STAGES = [...TEXT_STAGES, 'plan'] as const;
type Stage = (typeof STAGES)[number];

export interface InspectOptions extends Watch {
  readonly stage?: Stage | undefined;
  readonly drop?: readonly string[] | undefined;
  readonly remat?: readonly string[] | undefined;
  readonly skip?: readonly string[] | undefined;
  readonly dropRate?: number | undefined;
  readonly seed: number;
  readonly diff?: readonly string[] | undefined;
  readonly function?: string | undefined;
  readonly unit?: string | undefined;
  readonly cost?: boolean | undefined;
  readonly locs?: boolean | undefined;
  /** The sizes to compile for, at which costs are counted too. Default: 1 and 256 for a checkpoint, and its own for a definition. */
  readonly batch?: number | undefined;
  readonly length?: number | undefined;
  readonly lora: LoraOptions | null;
  /** The type of tensors that no header describes. Default: as the configuration says. */
  readonly dtype?: StoredType | undefined;
  readonly traits: DeviceTraits;
  readonly maxBuffers: number;
}

const scopeOf = ({ function: name, unit }: { readonly function?: string | undefined; readonly unit?: string | undefined }): Scope => ({
  function: name?.replace(/^@/, ''),
  unit,
});

type DumpOptions = Pick<InspectOptions, 'function' | 'cost'>;

/** Shows a dump as it is, or one function of it. @throws EbbError for a dump that is wrong, and for a function that it does not hold */
export function inspectDump(path: string, options: DumpOptions = {}): View {
  const text = dumpText(readText(path), path, scopeOf(options), options.cost);
  return { text, json: { text }, language: 'ir' };
}

/** Shows the difference of two dumps. @throws EbbError as `inspectDump` does */
export function diffDumps([a, b]: readonly [TextSide, TextSide], options: DumpOptions): View {
  return textDiff({ name: a.name, text: inspectDump(a.name, options).text }, { name: b.name, text: inspectDump(b.name, options).text });
}

/** Traces a definition or a checkpoint, whose weights may be missing. The length may exceed the positions that a checkpoint was trained for. */
async function traceFor(path: string, { lora, batch, length, dtype, ...watch }: InspectOptions): Promise<TracedModel> {
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

/** Traces a model for training. */
async function openForInspection(path: string, options: InspectOptions): Promise<Opened> {
  captureLocations(options.locs ?? false);
  const model = await traceFor(path, options);
  let compiled: Inspected | undefined;
  return { traced: model, compiled: () => (compiled ??= inspect(model, { traits: options.traits, maxBuffers: options.maxBuffers })) };
}

interface NamedPattern {
  readonly pattern: Pattern;
  readonly dropped: readonly string[];
}

/** The pattern that the options name or draw. @throws EbbError for an unknown unit */
export function patternFrom(options: Pick<InspectOptions, 'drop' | 'remat' | 'skip' | 'dropRate' | 'seed'>, units: readonly string[]): NamedPattern {
  const { dropRate, seed, remat = [], skip = [] } = options;
  const drawn = dropRate === undefined ? [] : uniformDrop(units, dropRate, seed);
  const dropped = options.drop ?? drawn;
  checkUnits(dropped, units, '--drop');
  checkUnits(remat, units, '--remat');
  checkUnits(skip, units, '--skip');
  const both = remat.find((unit) => dropped.includes(unit));
  if (both !== undefined && options.drop !== undefined)
    throw new EbbError(`--remat: ${both} is dropped too, and a unit without a backward does not run its forward again; name it once`);
  const twice = skip.find((unit) => remat.includes(unit) || options.drop?.includes(unit));
  if (twice !== undefined) throw new EbbError(`--skip: ${twice} is named as dropped or remat too, which a unit without a forward cannot be; name it once`);
  return { pattern: patternOf(dropped, remat, skip), dropped: dropped.filter((unit) => !skip.includes(unit)) };
}

/** The title of a page: the path of a model inside the working folder, or else its last name. */
function pageTitle(path: string): string {
  const inside = relative('', path);
  return inside === '' || inside.startsWith('..') ? basename(resolve(path)) : inside;
}

/** Writes the page of a model, with the source lines of its values. Returns its size in bytes. @throws EbbError for an unknown unit, and a file that cannot be written */
export async function writePage(path: string, file: string, options: InspectOptions): Promise<number> {
  const { traced, compiled } = await openForInspection(path, { ...options, locs: true });
  const { pattern } = patternFrom(options, traced.units);
  const data = await pageData(compiled(), pageTitle(path), traced.module.dims, pattern);
  return writeHtml(file, pageHtml(data));
}

/** Inspects a model. @throws EbbError for a unit, function or pattern that the model does not have */
export async function inspectModel(path: string, options: InspectOptions): Promise<View> {
  const { traced, compiled } = await openForInspection(path, options);
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
