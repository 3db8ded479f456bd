/** @file What each call does under a pattern: which form, and what of its forward some backward reads. */

import { EbbError } from '../errors.ts';
import type { BackwardDecl, CallDecl, FunctionDecl, Program } from './program.ts';

/** What a unit does in a micro-batch; `skipped`: neither forward nor backward, its result is its residual. Trunk is always `full`. */
export type Form = 'full' | 'remat' | 'dropped' | 'skipped';
/** A form for every unit, by site; units not named are `full`. */
export type Pattern = ReadonlyMap<string, Form>;

/** A call under a pattern: its backward form, or none. */
export interface CallPlan {
  readonly call: CallDecl;
  readonly backward: BackwardDecl | null;
  readonly remat: boolean;
  readonly skipped: boolean;
}

const bits = (list: readonly boolean[]): string => list.map((b) => (b ? '1' : '0')).join('');

const withoutBackward = (form: Form | undefined): boolean => form === 'dropped' || form === 'skipped';

export function functionOf(program: Program, index: number): FunctionDecl {
  return program.functions[index] as FunctionDecl;
}

/** Which calls run a backward, and in which form: gradients flow down, trainable things are counted upwards. */
export function planCalls(program: Program, pattern: Pattern, forwardOnly: boolean): CallPlan[] {
  const needs = program.values.map(() => false);
  const trainable = program.params.map((p) => p.trainable);
  const wanted = program.calls.map((call) => {
    const dropped = call.unit && withoutBackward(pattern.get(call.site));
    const wants = call.arguments.map((a) => (a.kind === 'param' ? (trainable[a.param] ?? false) : a.kind === 'value' ? (needs[a.value] ?? false) : false));
    const residual = call.residual === null ? false : (wants[call.residual] ?? false);
    const flows = dropped ? residual : wants.includes(true);
    for (const r of call.results) needs[r] = flows;
    return wants;
  });
  const arrives = program.values.map((_, i) => i === program.results[0]);
  const plans: CallPlan[] = [];
  for (let i = program.calls.length - 1; i >= 0; i--) {
    const call = program.calls[i] as CallDecl;
    const form = (call.unit && pattern.get(call.site)) || 'full';
    const cotangents = call.results.map((r) => arrives[r] ?? false);
    const wants = wanted[i] ?? [];
    let backward: BackwardDecl | null = null;
    if (!forwardOnly && !withoutBackward(form) && cotangents.includes(true) && wants.includes(true)) {
      const key = `${bits(cotangents)}.${bits(wants)}`;
      backward = call.backwards.find((b) => b.key === key) ?? null;
      if (!backward) throw new Error(`internal: ${call.site} was not compiled for form ${key}`);
    }
    call.arguments.forEach((a, k) => {
      if (a.kind !== 'value') return;
      const passes = backward !== null ? (wants[k] ?? false) : call.unit && k === call.residual && cotangents.includes(true) && (wants[k] ?? false);
      if (passes) arrives[a.value] = true;
    });
    plans.unshift({ call, backward, remat: (form === 'remat' || call.again === true) && backward !== null, skipped: form === 'skipped' });
  }
  return plans;
}

/**
 * For each value the one whose bytes it is: a skipped unit's result is its residual, others are their own.
 * @throws EbbError for a unit that cannot be skipped
 */
export function valueRoots(program: Program, plans: readonly CallPlan[]): readonly number[] {
  const roots = program.values.map((_, v) => v);
  for (const { call, skipped } of plans) {
    if (!skipped) {
      const read = call.arguments.flatMap((a) => (a.kind === 'value' ? [a.value] : []));
      const twice = read.find((v, k) => read.some((w, l) => l < k && w !== v && roots[w] === roots[v]));
      if (twice !== undefined)
        throw new EbbError(
          `${program.values[twice]?.name}: its unit cannot be skipped, ${call.site} reads both its input and its result; drop its backward alone`,
        );
      continue;
    }
    const x = call.residual === null ? undefined : call.arguments[call.residual];
    const [y] = call.results;
    if (x?.kind !== 'value' || y === undefined || program.results.includes(y))
      throw new EbbError(
        `${call.site}: cannot be skipped, it ${x?.kind === 'value' ? "makes the model's result" : "reads the model's input"}; drop its backward alone`,
      );
    roots[y] = roots[x.value] as number;
  }
  return roots;
}

/** Slots of the forward's saved results that a backward reads. */
export function keptSlots(program: Program, call: CallDecl, backward: BackwardDecl | null): Set<number> {
  const fn = functionOf(program, call.forward);
  const saves = fn.results.filter((r) => r.role === 'save');
  const own = new Set([...fn.params.map((p) => p.slot), ...fn.results.filter((r) => r.role === 'value').map((r) => r.slot)]);
  return new Set(
    (backward?.sources ?? []).flatMap((s) => (s.from === 'save' ? [saves[s.index]?.slot ?? -1] : [])).filter((slot) => slot >= 0 && !own.has(slot)),
  );
}

/** Values that some backward of this plan reads again. */
export function persistentValues(program: Program, plans: readonly Omit<CallPlan, 'skipped'>[]): Set<number> {
  const out = new Set<number>();
  for (const { call, backward, remat } of plans) {
    if (!backward) continue;
    const fn = functionOf(program, call.forward);
    for (const s of backward.sources) {
      const a = s.from === 'argument' ? call.arguments[s.index] : undefined;
      if (a?.kind === 'value') out.add(a.value);
      if (s.from === 'save') {
        // a save that is the call's own result or argument is that value, kept
        const slot = fn.results.filter((r) => r.role === 'save')[s.index]?.slot;
        fn.results
          .filter((r) => r.role === 'value')
          .forEach((r, k) => {
            if (r.slot === slot && call.results[k] !== undefined) out.add(call.results[k] as number);
          });
        fn.params.forEach((p, k) => {
          const arg = call.arguments[k];
          if (p.slot === slot && arg?.kind === 'value') out.add(arg.value);
        });
      }
    }
    if (remat) for (const a of call.arguments) if (a.kind === 'value') out.add(a.value);
  }
  return out;
}
