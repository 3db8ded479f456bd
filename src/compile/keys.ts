/** @file Which backward forms a model can need, over all patterns: for each call, the keys it can be linked with. */

import { invariant } from '../errors.ts';
import { callsOf, mainOf, weightRows } from '../ir/module.ts';
import { opDef } from '../ir/ops/index.ts';
import type { Func, Module, Op, Value } from '../ir/types.ts';
import { type Arrival, type BackwardKey, backwardKeyText } from '../passes/dropbp.ts';
import { flowsOf } from '../passes/flows.ts';
import type { ResidualDecl } from '../runtime/program.ts';
import type { TracedModel } from '../trace/trace.ts';

/** Whether something holds under every pattern, some, or none. */
type Chance = 'never' | 'sometimes' | 'always';

export interface CallKeys {
  readonly call: Op;
  readonly func: Func;
  readonly keys: readonly BackwardKey[];
  /** Whether a key stands for more than one pattern, see `combinations`. */
  readonly grouped: boolean;
  readonly residual: ResidualDecl | null;
}

const most = (chances: readonly Chance[]): Chance => (chances.includes('always') ? 'always' : chances.includes('sometimes') ? 'sometimes' : 'never');
const atMost = (chance: Chance): Chance => (chance === 'always' ? 'sometimes' : chance);

/** @throws Error (internal) for a call of a function that the module lacks */
export function calleeOf(module: Module, call: Op): Func {
  const func = module.funcs.find((f) => f.name === call.attrs['callee']);
  invariant(func, `no function @${call.attrs['callee']}`);
  return func;
}

/** Of a unit: its residual's argument and the result that it is added to; null for trunk. */
export function residualOf(call: Op, func: Func): ResidualDecl | null {
  if (call.attrs['unit'] !== true) return null;
  const op = func.ops.find((o) => opDef(o.name).endsUnit);
  const argument = func.params.findIndex((p) => p.value === op?.operands[0]);
  const result = func.results.findIndex((r) => r.value === op?.results[0]);
  invariant(argument >= 0 && result >= 0, `@${func.name} is a unit's: it adds one of its arguments to its branch and returns the sum`);
  return { argument, result };
}

/** With more than this many bits that hold under some patterns only, forms are made for all of them and for none. */
const MOST_OPEN = 3;
const isGrouped = (chances: readonly Chance[]): boolean => chances.filter((c) => c === 'sometimes').length > MOST_OPEN;

/**
 * Every way these chances can fall. Many open ones fall together: a pattern between takes the form of all of them, where what does not
 * arrive is zero and what is not wanted is not kept (see `formsOfCalls`).
 */
function combinations(chances: readonly Chance[]): boolean[][] {
  const open = chances.flatMap((c, i) => (c === 'sometimes' ? [i] : []));
  const sets = isGrouped(chances) ? [[], open] : open.reduce<number[][]>((all, i) => all.flatMap((set) => [[...set, i], set]), [[]]);
  return sets.map((set) => chances.map((c, i) => c === 'always' || set.includes(i)));
}

/** For each function what flows back through it, found once. */
export type Flows = (func: Func) => readonly (readonly number[])[];

export function flowTable(): Flows {
  const known = new Map<Func, readonly (readonly number[])[]>();
  return (func) => {
    const flows = known.get(func) ?? flowsOf(func);
    known.set(func, flows);
    return flows;
  };
}

/**
 * Walks the calls forward (which values have something trainable above them) and backward (which results can bring a cotangent).
 * A unit passes both through its residual even when it is dropped; everything else of it only when it is kept.
 */
export function backwardKeys({ module, params }: TracedModel, flowsOf: Flows): CallKeys[] {
  const main = mainOf(module);
  const trainable = new Set(params.filter((p) => p.trainable).map((p) => p.name));
  const rowsOf = weightRows(main);
  const isTrainable = (v: Value): boolean => trainable.has(rowsOf(v)?.weight.name ?? '');
  const needs = new Map<Value, Chance>();
  const wanted = (v: Value): Chance => (isTrainable(v) ? 'always' : (needs.get(v) ?? 'never'));
  const calls = callsOf(module).map((call) => {
    const func = calleeOf(module, call);
    const residual = residualOf(call, func);
    const flows = flowsOf(func);
    const wants = call.operands.map(wanted);
    call.results.forEach((r, k) => {
      const kept = most((flows[k] ?? []).map((j) => wants[j] ?? 'never'));
      needs.set(r, residual === null ? kept : most([atMost(kept), k === residual.result ? (wants[residual.argument] ?? 'never') : 'never']));
    });
    return { call, func, residual, flows };
  });
  const [loss] = main.results;
  const arrives = new Map<Value, Chance>();
  const arrival = (v: Value): Chance => (v === loss?.value ? 'always' : (arrives.get(v) ?? 'never'));
  const out: CallKeys[] = [];
  for (const { call, func, residual, flows } of [...calls].reverse()) {
    const cotangents = call.results.map(arrival);
    const wants = call.operands.map(wanted);
    call.operands.forEach((v, j) => {
      const kept = most(cotangents.filter((_, k) => flows[k]?.includes(j)));
      const chance = residual === null ? kept : most([atMost(kept), j === residual.argument ? (cotangents[residual.result] ?? 'never') : 'never']);
      const made: Chance = wants[j] === 'never' ? 'never' : wants[j] === 'sometimes' ? atMost(chance) : chance;
      arrives.set(v, most([arrives.get(v) ?? 'never', made]));
    });
    const keys = combinations(cotangents).flatMap((c) => combinations(wants).flatMap((w) => normalKey(c, w, flows) ?? []));
    const seeded = keys.map(
      (key): BackwardKey => ({ ...key, cotangents: key.cotangents.map((c, k): Arrival => (c && call.results[k] === loss?.value ? 'seed' : c)) }),
    );
    const distinct = new Map(seeded.map((key) => [backwardKeyText(key), key]));
    out.unshift({ call, func, keys: [...distinct.values()], grouped: isGrouped(cotangents) || isGrouped(wants), residual });
  }
  return out;
}

/** The key of what really flows: cotangents that reach something wanted, and what is wanted and reached; null where nothing is. */
function normalKey(
  cotangents: readonly boolean[],
  wanted: readonly boolean[],
  flows: readonly (readonly number[])[],
): { cotangents: boolean[]; wanted: boolean[] } | null {
  const reached = wanted.map((w, j) => w && cotangents.some((c, k) => c && flows[k]?.includes(j) === true));
  if (!reached.includes(true)) return null;
  return { cotangents: cotangents.map((c, k) => c && (flows[k] ?? []).some((j) => reached[j] === true)), wanted: reached };
}
