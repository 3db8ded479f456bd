/** @file Finds which backward forms a model can need under any pattern: for each call, the keys with which it can be linked. */

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
  /** Whether a key may stand for several patterns (see `combinations`). */
  readonly grouped: boolean;
  readonly residual: ResidualDecl | null;
}

const most = (chances: readonly Chance[]): Chance => (chances.includes('always') ? 'always' : chances.includes('sometimes') ? 'sometimes' : 'never');
const atMost = (chance: Chance): Chance => (chance === 'always' ? 'sometimes' : chance);

/** The function that a call calls. @throws Error (internal) if the module lacks it */
export function calleeOf(module: Module, call: Op): Func {
  const func = module.funcs.find((f) => f.name === call.attrs['callee']);
  invariant(func, `no function @${call.attrs['callee']}`);
  return func;
}

/** For a call of a unit: the argument that its residual adds to the branch, and the result that is the sum. Null for trunk. */
export function residualOf(call: Op, func: Func): ResidualDecl | null {
  if (call.attrs['unit'] !== true) return null;
  const op = func.ops.find((o) => opDef(o.name).endsUnit);
  const argument = func.params.findIndex((p) => p.value === op?.operands[0]);
  const result = func.results.findIndex((r) => r.value === op?.results[0]);
  invariant(argument >= 0 && result >= 0, `@${func.name} is a unit, so it must add one of its arguments to its branch and return the sum`);
  return { argument, result };
}

/** If more than this many bits hold only under some patterns, forms are made for all of them and for none of them. */
const MOST_OPEN = 3;
const isGrouped = (chances: readonly Chance[]): boolean => chances.filter((c) => c === 'sometimes').length > MOST_OPEN;

/**
 * Every list of bits that these chances allow. If too many are open, these are either all true or all false: a pattern in between uses the form
 * for all of them, in which cotangents that do not arrive are zero and gradients that are not wanted are not kept (see `formsOfCalls`).
 */
function combinations(chances: readonly Chance[]): boolean[][] {
  const open = chances.flatMap((c, i) => (c === 'sometimes' ? [i] : []));
  const sets = isGrouped(chances) ? [[], open] : open.reduce<number[][]>((all, i) => all.flatMap((set) => [[...set, i], set]), [[]]);
  return sets.map((set) => chances.map((c, i) => c === 'always' || set.includes(i)));
}

/** Which parameters the cotangent of each result of a function flows back to (`flowsOf`). */
export type FlowTable = (func: Func) => readonly (readonly number[])[];

/** `flowsOf`, computed once for each function. */
export function flowTable(): FlowTable {
  const known = new Map<Func, readonly (readonly number[])[]>();
  return (func) => {
    const flows = known.get(func) ?? flowsOf(func);
    known.set(func, flows);
    return flows;
  };
}

/**
 * The keys of every call. Walking forward it finds the values that depend on something trainable, walking backward the results whose cotangent
 * can arrive. A unit passes both on through its residual even if it is dropped, and through everything else only if it is kept.
 */
export function backwardKeys({ module, params }: TracedModel, flowsOf: FlowTable): CallKeys[] {
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

/** The key without bits that change nothing: cotangents that reach nothing wanted, and wanted gradients that none reaches. Null if no bit is left. */
function normalKey(
  cotangents: readonly boolean[],
  wanted: readonly boolean[],
  flows: readonly (readonly number[])[],
): { cotangents: boolean[]; wanted: boolean[] } | null {
  const reached = wanted.map((w, j) => w && cotangents.some((c, k) => c && flows[k]?.includes(j) === true));
  if (!reached.includes(true)) return null;
  return { cotangents: cotangents.map((c, k) => c && (flows[k] ?? []).some((j) => reached[j] === true)), wanted: reached };
}
