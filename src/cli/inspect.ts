/** @file `ebb inspect`: opens what is to be looked at and hands it to src/inspect/. */

import { basename, relative, resolve } from 'node:path';
import type { DeviceTraits } from '../codegen/kernel/device.ts';
import { uniformDrop } from '../dropbp/uniformDrop.ts';
import { EbbError } from '../errors.ts';
import { readText } from '../formats/files.ts';
import type { StoredType } from '../formats/storedType.ts';
import { pageData, pageHtml } from '../inspect/html.ts';
import { checkUnits, patternOf } from '../inspect/patterns.ts';
import { type Inspected, inspect, type Scope, stageText, TEXT_STAGES, type TextStage } from '../inspect/stages.ts';
import { type DiffSide, diffSide, dumpText, type PatternOptions, patternDiff, patternView, stageView, textDiff, type View } from '../inspect/views.ts';
import { trainingMode } from '../models/inputs.ts';
import type { Pattern } from '../runtime/link/forms.ts';
import { type LoraOptions, traceCheckpoint } from '../session.ts';
import { captureLocations } from '../trace/location.ts';
import type { TracedModel } from '../trace/trace.ts';
import { writeHtml } from './htmlFile.ts';
import { describeCheckpoint, describeSource } from './source.ts';

export const STAGES = [...TEXT_STAGES, 'plan'] as const;
type Stage = (typeof STAGES)[number];

export interface InspectOptions {
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
  /** Sizes to compile for and to count at: 1 and 256 for a checkpoint, a definition's own, where they are not given. */
  readonly batch?: number | undefined;
  readonly length?: number | undefined;
  readonly lora: LoraOptions | null;
  /** How tensors are stored that no header describes, where not as the configuration says. */
  readonly dtype?: StoredType | undefined;
  readonly traits: DeviceTraits;
  readonly maxBuffers: number;
}

const scopeOf = ({ function: name, unit }: Pick<InspectOptions, 'function' | 'unit'>): Scope => ({ function: name?.replace(/^@/, ''), unit });

type DumpOptions = Pick<InspectOptions, 'function' | 'unit' | 'cost' | 'stage' | 'drop' | 'remat' | 'skip' | 'dropRate' | 'dtype'>;

/** A dump as it is, or one function of it. @throws EbbError for an option that asks for more than a dump holds */
export function inspectDump(path: string, options: DumpOptions = {}): View {
  const { unit, stage, drop, remat, skip, dropRate, dtype } = options;
  const [asked] = Object.entries({ unit, stage, drop, remat, skip, 'drop-rate': dropRate, dtype }).find(([, value]) => value !== undefined) ?? [];
  if (asked !== undefined) throw new EbbError(`--${asked}: ${path} is a dump, one stage without weights and kernels; give the model it was made of`);
  const text = dumpText(readText(path), path, scopeOf(options), options.cost);
  return { text, json: { text }, language: 'ir' };
}

/** Two dumps. */
export function diffDumps(a: string, b: string, options: DumpOptions): View {
  return textDiff({ name: a, text: inspectDump(a, options).text }, { name: b, text: inspectDump(b, options).text });
}

/** The two sides of `--diff`. @throws EbbError when there are more or fewer */
export function diffSides(names: readonly string[]): [DiffSide, DiffSide] {
  const [a, b, ...more] = names;
  if (a === undefined || b === undefined || more.length > 0)
    throw new EbbError(
      `--diff: expected two stages (${TEXT_STAGES.join(', ')}), two patterns (none, or units between commas) or two .ebb files, found ${names.length}`,
    );
  return [diffSide(a), diffSide(b)];
}

/** A model definition, or a checkpoint (no weights are needed), whose lengths are not held to the positions it was trained for. */
async function traceFor(path: string, { lora, batch, length, dtype }: InspectOptions): Promise<TracedModel> {
  if (/\.[cm]?ts$/i.test(path)) return (await describeSource(path, dtype)).trace({ batch: batch ?? null, length: length ?? null, lora });
  const checkpoint = await describeCheckpoint(path, dtype);
  const dims = { B: batch ?? 1, T: length ?? 256 };
  return traceCheckpoint(checkpoint, { mode: trainingMode(dims.T), dims, lora, trains: lora ? 'adapter' : 'full' });
}

interface Opened {
  readonly traced: TracedModel;
  /** Compiled when it is first asked for. */
  readonly compiled: () => Inspected;
}

/** A model, traced for training. */
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
    throw new EbbError(`--remat: ${both} is dropped, a unit without backward runs no forward again; name it once`);
  const twice = skip.find((unit) => remat.includes(unit) || options.drop?.includes(unit));
  if (twice !== undefined) throw new EbbError(`--skip: ${twice} is named as dropped or remat too, a unit without a forward is neither; name it once`);
  return { pattern: patternOf(dropped, remat, skip), dropped: dropped.filter((unit) => !skip.includes(unit)) };
}

/** A path inside the working folder as it is, others by their last name. */
function pageTitle(path: string): string {
  const inside = relative('', path);
  return inside === '' || inside.startsWith('..') ? basename(resolve(path)) : inside;
}

/** Writes a model's page; values carry their source lines. Returns its bytes. */
export async function writePage(path: string, file: string, options: InspectOptions): Promise<number> {
  const { traced, compiled } = await openForInspection(path, { ...options, locs: true });
  const { pattern } = patternFrom(options, traced.units);
  const data = await pageData(compiled(), pageTitle(path), traced.module.dims, pattern);
  return writeHtml(file, pageHtml(data));
}

/** Inspects a model. @throws EbbError for a unit, function or stage that there is not */
export async function inspectModel(path: string, options: InspectOptions): Promise<View> {
  const { traced, compiled } = await openForInspection(path, options);
  const sizes = traced.module.dims;
  const scope = scopeOf(options);
  const shown = { locs: options.locs ?? false, costs: options.cost ? sizes : undefined };
  const pattern: PatternOptions = { sizes, cost: options.cost ?? false, scope };
  const staged = (stage: TextStage): Parameters<typeof stageText>[0] => (stage === 'trace' ? { traced } : compiled());
  if (options.diff) {
    const [a, b] = diffSides(options.diff);
    if (a.kind === 'pattern' && b.kind === 'pattern') return patternDiff(compiled(), a.name, b.name, pattern);
    const text = (side: DiffSide): { name: string; text: string } => {
      if (side.kind === 'pattern')
        throw new EbbError(
          `--diff: ${side.name} is neither a stage (${TEXT_STAGES.join(', ')}) nor an .ebb file, as the other side is; patterns are compared with patterns`,
        );
      return { name: side.name, text: side.kind === 'dump' ? inspectDump(side.name, options).text : stageText(staged(side.name), side.name, shown, scope) };
    };
    return textDiff(text(a), text(b));
  }
  const patterned = options.drop !== undefined || options.dropRate !== undefined || options.remat !== undefined || options.skip !== undefined;
  const stage = options.stage ?? (patterned ? 'plan' : 'trace');
  if (patterned && stage !== 'plan') throw new EbbError(`--stage ${stage} is the same for all patterns; leave --stage out, or the pattern`);
  if (stage !== 'plan') return stageView(staged(stage), stage, shown, scope);
  const { pattern: forms, dropped } = patternFrom(options, traced.units);
  return patternView(compiled(), forms, dropped, pattern);
}
