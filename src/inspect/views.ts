/** @file What `ebb inspect` shows of a model: a stage, a pattern beside nothing dropped, or the difference between two of either. */

import { EbbError, option } from '../errors.ts';
import { parseModule } from '../ir/parse.ts';
import { printModule } from '../ir/print.ts';
import type { Module } from '../ir/types.ts';
import { verify } from '../ir/verify.ts';
import type { Pattern } from '../runtime/link/forms.ts';
import type { Variant } from '../runtime/link/linked.ts';
import type { Sizes } from '../runtime/program.ts';
import { type NamedText, unifiedDiff } from './diff.ts';
import { parsePattern } from './patterns.ts';
import { type CallReport, inspectionLinker, namedUnits, restricted, unitsIn, type VariantReport, variantReport } from './report.ts';
import { callAt, type Inspected, inScope, kernelTexts, type Scope, type Shown, stageText, TEXT_STAGES, type TextStage } from './stages.ts';
import { compareTable, removed, removedTable, variantText } from './variantText.ts';

/** A result of `ebb inspect`, as text and as JSON. */
export interface View {
  readonly text: string;
  readonly json: unknown;
  /** The language of `text`, for its colours. */
  readonly language: 'ir' | 'wgsl';
  /** Whether `text` is a diff. */
  readonly diff?: boolean;
}

/** The language of a stage. */
const languageOf = (stage: string): View['language'] => (stage === 'wgsl' ? 'wgsl' : 'ir');

/** Shows one stage. */
export function stageView(x: Parameters<typeof stageText>[0], stage: TextStage, shown: Shown, scope: Scope): View {
  const text = stageText(x, stage, shown, scope);
  const kernels = stage === 'kernel' || stage === 'wgsl';
  return { text, language: languageOf(stage), json: kernels ? { stage, texts: kernelTexts(x as Inspected, stage, scope) } : { stage, text } };
}

/** Parses and verifies a dump, and prints it unchanged, or one function of it. @throws EbbError when the dump is wrong, or has no function of that name */
export function dumpText(text: string, path: string, scope: Scope = {}, cost = false): string {
  const module = parseModule(text, path);
  verify(module);
  const funcs = module.funcs.filter((f) => inScope(f.name, scope));
  if (funcs.length === 0)
    throw new EbbError(`${option('function')}: ${path} has no function @${scope.function}; there are ${module.funcs.map((f) => `@${f.name}`).join(', ')}`);
  const shown: Module = { dims: module.dims, funcs };
  // a dump that was made with --locs or --cost is printed with them again
  return printModule(shown, { locs: / loc\(/.test(text), ...(cost || / FLOP$/m.test(text) ? { costs: module.dims } : {}) });
}

/** What is shown of a pattern. */
export interface PatternOptions {
  /** The sizes at which costs are counted. */
  readonly sizes: Sizes;
  /** Whether the cost of each call is shown. */
  readonly cost: boolean;
  readonly scope: Scope;
}

interface LinkedPattern {
  readonly variant: Variant;
  readonly report: VariantReport;
}

/** Returns whether a call is in the scope. @throws EbbError for a scope that names no function or no call */
function wantedCalls(x: Inspected, { scope }: PatternOptions): (call: CallReport) => boolean {
  if (scope.unit !== undefined) callAt(x.traced, scope.unit);
  if (scope.function !== undefined && !x.compiled.program.functions.some((f) => inScope(f.name, scope)))
    throw new EbbError(`${option('function')}: no function @${scope.function}; there are ${x.compiled.program.functions.map((f) => `@${f.name}`).join(', ')}`);
  return (call) => inScope(call.function, scope) && (scope.unit === undefined || call.site === scope.unit);
}

function linked(x: Inspected, patterns: readonly { pattern: Pattern; dropped: readonly string[] }[], options: PatternOptions): LinkedPattern[] {
  const { program } = x.compiled;
  const linker = inspectionLinker(program);
  return patterns.map(({ pattern, dropped }) => {
    const variant = linker.link(pattern);
    return { variant, report: variantReport(program, variant, { ...namedUnits(program, pattern), dropped }, options.sizes) };
  });
}

/** Shows what a pattern costs, beside the costs with nothing dropped. @param dropped its dropped units in the order they were named */
export function patternView(x: Inspected, pattern: Pattern, dropped: readonly string[], options: PatternOptions): View {
  const { program } = x.compiled;
  const wanted = wantedCalls(x, options);
  const [own, none] = linked(
    x,
    [
      { pattern, dropped },
      { pattern: new Map(), dropped: [] },
    ],
    options,
  ) as [LinkedPattern, LinkedPattern];
  const [ownPart, nonePart] = [restricted(own.report, wanted), restricted(none.report, wanted)];
  return {
    text: `${variantText(program, own.variant, own.report, options.cost, wanted)}\n${compareTable(ownPart, nonePart)}\n`,
    json: { pattern: ownPart, nothingDropped: nonePart, pipelines: program.pipelines.length },
    language: 'ir',
  };
}

/** A side of `--diff` that is a text: a stage of the model, or a dump. */
export type TextSide = { readonly kind: 'stage'; readonly name: TextStage } | { readonly kind: 'dump'; readonly name: string };

/** The two sides of `--diff`, by what they are. */
export type DiffSides =
  | { readonly kind: 'patterns'; readonly names: readonly [string, string] }
  | { readonly kind: 'stages' | 'dumps' | 'mixed'; readonly sides: readonly [TextSide, TextSide] };

/** Finds out what a side of `--diff` names: a dump by its ending, and a stage by its name. Null: it names a pattern. */
function textSide(name: string): TextSide | null {
  if (name.endsWith('.ebb')) return { kind: 'dump', name };
  const stage = TEXT_STAGES.find((s) => s === name);
  return stage === undefined ? null : { kind: 'stage', name: stage };
}

/** Reads the sides of `--diff`. @throws EbbError unless they are two, and both patterns or both texts */
export function diffSides(names: readonly string[]): DiffSides {
  const stages = TEXT_STAGES.join(', ');
  const [a, b, ...more] = names;
  if (a === undefined || b === undefined || more.length > 0)
    throw new EbbError(
      `${option('diff')}: expected two stages (${stages}), two patterns (none, or units between commas) or two .ebb files, found ${names.length}`,
    );
  const [left, right] = [textSide(a), textSide(b)];
  if (left && right) return { kind: left.kind !== right.kind ? 'mixed' : left.kind === 'dump' ? 'dumps' : 'stages', sides: [left, right] };
  if (left || right)
    throw new EbbError(
      `${option('diff')}: ${left ? b : a} is neither a stage (${stages}) nor an .ebb file, as the other side is; patterns are compared with patterns`,
    );
  return { kind: 'patterns', names: [a, b] };
}

/** Shows the difference of two texts. */
export function textDiff(a: NamedText, b: NamedText): View {
  const diff = unifiedDiff(a, b);
  const wgsl = a.name === 'wgsl' && b.name === 'wgsl';
  return { text: diff, json: { a: a.name, b: b.name, diff }, language: wgsl ? 'wgsl' : 'ir', diff: true };
}

/** Shows the difference of the variants that two patterns link to, and what the second one leaves out of the first. */
export function patternDiff(x: Inspected, a: string, b: string, options: PatternOptions): View {
  const { program } = x.compiled;
  const wanted = wantedCalls(x, options);
  const patterns = [a, b].map((text) => {
    const pattern = parsePattern(text, x.traced.units, option('diff'));
    return { pattern, dropped: unitsIn(program, pattern, 'dropped') };
  });
  const [one, two] = linked(x, patterns, options) as [LinkedPattern, LinkedPattern];
  const [onePart, twoPart] = [restricted(one.report, wanted), restricted(two.report, wanted)];
  const text = (l: LinkedPattern): string => `${variantText(program, l.variant, l.report, options.cost, wanted).trimEnd()}\n`;
  const diff = unifiedDiff({ name: a, text: text(one) }, { name: b, text: text(two) });
  return {
    text: `${diff}\n${removedTable(onePart, twoPart)}\n`,
    json: { a: onePart, b: twoPart, removed: removed(onePart, twoPart), diff },
    language: 'ir',
    diff: true,
  };
}
