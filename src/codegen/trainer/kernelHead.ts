/** @file What stands above a kernel, for people: what it computes, where it comes from, what its parameters and buffers are. All of it is read off the IR. */

import { type Cost, costText } from '../../cost.ts';
import { at } from '../../errors.ts';
import { accumulates, aliasOf } from '../../ir/ops/index.ts';
import { type Func, type Op, typeText, type Value } from '../../ir/types.ts';
import type { GroupKind } from '../../passes/fuse/types.ts';
import type { CallDecl, DispatchDecl, Extent, FunctionDecl, Program } from '../../runtime/program.ts';
import { groupOf } from '../kernel/lower/group.ts';
import type { Target } from '../targets/target.ts';
import { formulasOf } from './formula.ts';

/** First and last line of a fused group in the text of the fused stage, from 1. */
export type Lines = readonly [first: number, last: number];

/** A dispatch of a kernel. */
export interface Use {
  readonly fn: FunctionDecl;
  /** The function as it was fused. */
  readonly fused: Func;
  readonly dispatch: DispatchDecl;
  /** The group that its kernel was made of. */
  readonly group: Op;
  readonly lines: Lines;
  /** Whether this is the kernel that adds to gradients. */
  readonly adding: boolean;
}

/** How a kernel of a kind goes through what it computes. */
const WAYS: Readonly<Record<GroupKind, string>> = {
  map: 'element by element',
  row: 'row by row',
  column: 'column by column',
  dot: 'as a product of matrices',
  kernel: 'by a kernel of its own',
};

const isKind = (kind: string): kind is GroupKind => Object.hasOwn(WAYS, kind);
const listed = (names: readonly string[]): string => names.join(', ');
const named = (values: readonly Value[]): string => listed(values.map((v) => v.name));

/** The value whose slot holds each value of a function: reshapes share bytes, and results may overwrite what they are made of. */
function owners(fused: Func): (v: Value) => Value {
  const of = new Map(
    fused.ops.flatMap((op): [Value, Value][] => {
      const shared = aliasOf(op);
      return shared ? [[at(op.results, 0), shared]] : op.body ? [...groupOf(op).inplace] : [];
    }),
  );
  const owner = (v: Value): Value => {
    const next = of.get(v);
    return next ? owner(next) : v;
  };
  return owner;
}

/** The value of a group that lies in a slot, or null for what its first kernel leaves to its second. */
function valueIn({ fn, fused, group }: Pick<Use, 'fn' | 'fused' | 'group'>, slot: number): Value | null {
  const owner = owners(fused);
  const { name } = at(fn.slots, slot);
  return [...group.operands, ...group.results].find((v) => owner(v).name === name) ?? null;
}

/** What a kernel does with one of its slots. */
interface Access {
  readonly read: boolean;
  readonly written: boolean;
  readonly added: boolean;
}

/** Finds what a use does with a slot. Values of a group are read and written; the rest is what its first kernel leaves to its second. */
function accessOf({ fn, fused, dispatch, group, adding }: Use, slot: number): Access {
  const owner = owners(fused);
  const { name } = at(fn.slots, slot);
  const holds = (v: Value): boolean => owner(v).name === name;
  const read = group.operands.some(holds);
  const result = group.results.some(holds);
  if (!read && !result) return { read: dispatch.partial !== true, written: dispatch.partial === true, added: false };
  const isGradient = fn.results.some((r) => r.role === 'grad' && r.slot === slot);
  const sums = group.body?.ops.some((op) => accumulates(op) && op.results.some(holds)) === true && !isClearing({ dispatch, fn, group, fused });
  return { read, written: result, added: result && ((adding && isGradient) || sums) };
}

/** Whether a use only writes the zeros that the group's kernel adds to. */
function isClearing({ dispatch, fn, group, fused }: Pick<Use, 'dispatch' | 'fn' | 'group' | 'fused'>): boolean {
  const owner = owners(fused);
  const [slot, ...others] = dispatch.slots;
  return dispatch.partial === true && slot !== undefined && others.length === 0 && group.results.some((v) => owner(v).name === at(fn.slots, slot).name);
}

const accessText = ({ read, written, added }: Access): string =>
  [...(read ? ['read'] : []), ...(added ? ['added to'] : written ? ['written'] : [])].join(' and ');

/** A call of the model, and which of its passes a function is. */
interface Pass {
  readonly call: CallDecl;
  readonly pass: 'forward' | 'backward';
}

/** The calls that run a function, in order. */
function callsOf({ calls, functions }: Program, fn: FunctionDecl): readonly Pass[] {
  const index = functions.indexOf(fn);
  return calls.flatMap((call): Pass[] => {
    if (call.forward === index) return [{ call, pass: 'forward' }];
    return call.backwards.some((b) => b.function === index) ? [{ call, pass: 'backward' }] : [];
  });
}

/** Where a function runs: `the forward of layers.0 and 3 more calls`. */
function placeOf(program: Program, fn: FunctionDecl): string {
  const calls = callsOf(program, fn);
  const [first] = calls;
  if (first === undefined) return `the update ${fn.name}`;
  const more = calls.length - 1;
  return `the ${first.pass} of ${first.call.site}${more === 0 ? '' : ` and ${more} more call${more === 1 ? '' : 's'}`}`;
}

/** The lines of the definition that the values of a group were made at. */
function sourcesOf({ group }: Use): readonly string[] {
  const locs = (group.body?.ops ?? []).flatMap((op) => op.results.flatMap(({ loc }) => (loc ? [`${loc.file}:${loc.line}`] : [])));
  return [...new Set(locs)];
}

/** What a use computes, as lines of text. */
function purposeOf(use: Use): readonly string[] {
  const { group, dispatch, adding } = use;
  const { kind, outputs, inplace } = groupOf(group);
  if (isClearing(use)) return [`Writes zeros to ${named(outputs)}, to which the next kernel adds.`];
  const way = isKind(kind) ? WAYS[kind] : kind;
  const formulas = formulasOf(group);
  const [formula] = formulas;
  const ending = [
    ...(adding ? [', and adds it to what is there'] : []),
    ...(inplace.size > 0 ? [`, in the place of ${named([...new Set(inplace.values())])}`] : []),
  ].join('');
  const rest = dispatch.slots.some((slot) => valueIn(use, slot) === null);
  const over = dispatch.partial === true ? 'Computes partial sums for ' : rest ? 'Adds up the partial sums for ' : 'Computes ';
  if (formulas.length === 1 && formula !== undefined) return [`${over}${formula}, ${way}${ending}.`];
  return [`${over}${named(outputs)}, ${way}${ending}:`, ...formulas.map((line) => `  ${line}`)];
}

/** FLOPs as a formula of the run-time dimensions. */
function flopText(cost: Cost): string {
  return cost.length === 0 ? 'no FLOP' : `${costText(cost)} FLOP`;
}

/** The bytes that are bound, as a formula. Each buffer counts once, so that it is an upper bound of what is moved from and to memory. */
export function byteText(extents: readonly Extent[]): string {
  const sums = new Map<string, number>();
  for (const { of, bytes } of extents) {
    const names = of.filter((d) => typeof d === 'string').join('·');
    sums.set(names, (sums.get(names) ?? 0) + bytes * of.reduce<number>((p, d) => (typeof d === 'number' ? p * d : p), 1));
  }
  return `${[...sums].map(([names, n]) => (names === '' ? String(n) : `${n}·${names}`)).join(' + ')} bytes bound`;
}

/** Where a use stands in the fused stage, and what it costs. */
function costLine({ fn, dispatch, lines }: Use, stageFile: string): string {
  const extents = [...new Set(dispatch.slots)].map((slot) => at(fn.slots, slot).extent);
  return `@${fn.name}, ${stageFile}:${lines[0]}-${lines[1]}: ${flopText(dispatch.flops)}, ${byteText(extents)}`;
}

/** The words of the uniform block that a kernel reads, and what they are. */
function wordLines(program: Program, use: Use, target: Target, code: string): readonly string[] {
  const { fn, dispatch } = use;
  const values = dispatch.slots.flatMap((slot) => valueIn(use, slot) ?? []);
  const sizes = program.dims.map(({ name, bound }, word) => {
    const holder = values.find(({ type }) => type.shape.includes(name));
    const place = holder ? `the size of axis ${holder.type.shape.indexOf(name)} of ${holder.name}` : 'a size of the step';
    return { word, text: `${name}, ${place}; ${bound} at most` };
  });
  const scalars = fn.scalars.map(({ word, name, dtype }) => ({ word, text: `the scalar ${name}, ${dtype}` }));
  return [...sizes, ...scalars].filter(({ word }) => code.includes(target.word(word))).map(({ word, text }) => `${target.word(word)} is ${text}.`);
}

/** The weight of the model that a slot holds in the first call of its function, or null. */
function weightOf(program: Program, fn: FunctionDecl, slot: number): string | null {
  const [first] = callsOf(program, fn);
  const param = fn.params.findIndex((p) => p.slot === slot && p.role === 'weight');
  if (first === undefined || param < 0) return null;
  const { call, pass } = first;
  const backward = call.backwards.find((b) => at(program.functions, b.function) === fn);
  const source = pass === 'forward' ? param : backward && at(backward.sources, param).from === 'argument' ? at(backward.sources, param).index : -1;
  const argument = call.arguments[source];
  return argument?.kind === 'param' ? `${at(program.params, argument.param).name} in ${call.site}` : null;
}

/** The buffers of a kernel in the order of their bindings. */
function bufferLines(program: Program, use: Use): readonly string[] {
  const { fn, dispatch } = use;
  return dispatch.slots.map((slot, i) => {
    const { name, extent } = at(fn.slots, slot);
    const value = valueIn(use, slot);
    const type = value ? typeText(value.type) : `[${extent.of.join(',')}], ${extent.bytes} bytes an element`;
    const part = dispatch.parts === undefined ? '' : `, part ${at(dispatch.parts, i)}`;
    const weight = weightOf(program, fn, slot);
    return `binding ${i + 1}: ${value?.name ?? name}, ${type}${part}, ${accessText(accessOf(use, slot))}${weight === null ? '' : ` (${weight})`}.`;
  });
}

/** The lines above a kernel, each as a comment. */
export function headOf(program: Program, uses: readonly Use[], stageFile: string, target: Target, code: string): string {
  const use = at(uses, 0);
  const sources = sourcesOf(use);
  const others = uses.slice(1);
  const lines = [
    ...purposeOf(use),
    `Part of ${placeOf(program, use.fn)}${sources.length === 0 ? '' : `, from ${listed(sources)}`}.`,
    costLine(use, stageFile),
    ...others.map((other) => `Also in ${placeOf(program, other.fn)}: ${costLine(other, stageFile)}`),
    ...wordLines(program, use, target, code),
    ...bufferLines(program, use),
  ];
  return lines.map((line) => `${target.lineComment} ${line}`).join('\n');
}
