/** @file What each call does under a pattern: which form, and what of its forward some backward reads. */

import { EbbError } from '../../errors.ts';
import type { BackwardDecl, CallDecl, FunctionDecl, Program } from '../program.ts';

/** What a unit does in a micro-batch; `skipped`: neither forward nor backward, its result is its residual. Trunk is always `full`. */
export type Form = 'full' | 'remat' | 'dropped' | 'skipped';
/** A form for every unit, by site; units not named are `full`. */
export type Pattern = ReadonlyMap<string, Form>;

/** A call under a pattern: its backward form, or none. */
export interface CallForm {
  readonly call: CallDecl;
  readonly backward: BackwardDecl | null;
  /** For each argument whether its gradient is kept; a form may make more. */
  readonly wants: readonly boolean[];
  readonly remat: boolean;
  readonly skipped: boolean;
}

const withoutBackward = (form: Form | undefined): boolean => form === 'dropped' || form === 'skipped';

export function functionOf(program: Pick<Program, 'functions'>, index: number): FunctionDecl {
  return program.functions[index] as FunctionDecl;
}

/** For each result of a function, the parameters that its cotangent flows back to. */
type Flows = readonly (readonly number[])[];

/** The key of what really flows back: cotangents that reach something wanted, and what is wanted and reached. */
function flowing(cotangents: readonly string[], wanted: readonly boolean[], flows: Flows): { readonly letters: string; readonly wants: readonly boolean[] } {
  const wants = wanted.map((w, j) => w && cotangents.some((c, k) => c !== '0' && flows[k]?.includes(j) === true));
  const letters = cotangents.map((c, k) => (c !== '0' && flows[k]?.some((j) => wants[j] === true) === true ? c : '0')).join('');
  return { letters, wants };
}

/** The form of exactly this key; else, where forms were made for many bits at once, the least one that has its bits and more. */
function formFor({ site, backwards }: CallDecl, key: string): BackwardDecl {
  const exact = backwards.find((b) => b.key === key);
  if (exact) return exact;
  const extra = (b: BackwardDecl): number => [...b.key].reduce((n, c, i) => n + (c === key[i] ? 0 : key[i] === '0' ? 1 : Number.POSITIVE_INFINITY), 0);
  const [least] = backwards.filter((b) => Number.isFinite(extra(b))).sort((a, b) => extra(a) - extra(b));
  if (!least) throw new Error(`internal: ${site} was not compiled for form ${key}`);
  return least;
}

/** The part of a program that decides which forms its calls take. */
export interface Formable extends Pick<Program, 'calls' | 'results'> {
  readonly values: readonly unknown[];
  readonly params: readonly { readonly trainable: boolean }[];
  readonly functions: readonly Pick<FunctionDecl, 'flows'>[];
}

/** Which calls run a backward, and in which form: gradients flow down, trainable things are counted upwards. */
export function formsOfCalls(program: Formable, pattern: Pattern, forwardOnly: boolean): CallForm[] {
  const needs = program.values.map(() => false);
  const trainable = program.params.map((p) => p.trainable);
  const flowsOf = (call: CallDecl): Flows => program.functions[call.forward]?.flows ?? [];
  const wanted = program.calls.map((call) => {
    const dropped = call.unit && withoutBackward(pattern.get(call.site));
    const flows = flowsOf(call);
    const wants = call.arguments.map((a) => (a.kind === 'param' ? trainable[a.param] === true : a.kind === 'value' && needs[a.value] === true));
    call.results.forEach((r, k) => {
      const kept = !dropped && (flows[k] ?? []).some((j) => wants[j] === true);
      needs[r] = kept || (call.residual?.result === k && wants[call.residual.argument] === true);
    });
    return wants;
  });
  const arrives = program.values.map((_, v): '0' | '1' | 's' => (v === program.results[0] ? 's' : '0'));
  const forms: CallForm[] = [];
  for (let i = program.calls.length - 1; i >= 0; i--) {
    const call = program.calls[i] as CallDecl;
    const form = (call.unit && pattern.get(call.site)) || 'full';
    const cotangents = call.results.map((r) => arrives[r] ?? '0');
    const { letters, wants } = flowing(cotangents, wanted[i] ?? [], flowsOf(call));
    const runs = !forwardOnly && !withoutBackward(form) && wants.includes(true);
    const backward = runs ? formFor(call, `${letters}.${wants.map(Number).join('')}`) : null;
    const passed = (k: number): boolean => k === call.residual?.argument && cotangents[call.residual.result] !== '0' && wanted[i]?.[k] === true;
    call.arguments.forEach((a, k) => {
      if (a.kind === 'value' && (backward !== null ? wants[k] === true : passed(k))) arrives[a.value] = '1';
    });
    forms.unshift({ call, backward, wants, remat: (form === 'remat' || call.again === true) && backward !== null, skipped: form === 'skipped' });
  }
  return forms;
}

/**
 * For each value the one whose bytes it is: a skipped unit's result is its residual, others are their own.
 * @throws EbbError for a unit that cannot be skipped
 */
export function valueRoots(program: Program, forms: readonly CallForm[]): readonly number[] {
  const roots = program.values.map((_, v) => v);
  for (const { call, skipped } of forms) {
    if (!skipped) {
      const read = call.arguments.flatMap((a) => (a.kind === 'value' ? [a.value] : []));
      const twice = read.find((v, k) => read.some((w, l) => l < k && w !== v && roots[w] === roots[v]));
      if (twice !== undefined)
        throw new EbbError(
          `${program.values[twice]?.name}: its unit cannot be skipped, ${call.site} reads both its input and its result; drop its backward alone`,
        );
      continue;
    }
    const x = call.residual === null ? undefined : call.arguments[call.residual.argument];
    const y = call.residual === null ? undefined : call.results[call.residual.result];
    const refuse = (why: string): never => {
      throw new EbbError(`${call.site}: cannot be skipped, ${why}; drop its backward alone`);
    };
    if (x?.kind !== 'value') return refuse("it reads the model's input");
    if (y === undefined || program.results.includes(y)) return refuse("it makes the model's result");
    const other = call.results.find((r) => r !== y);
    if (other !== undefined) return refuse(`${program.values[other]?.name} of its branch is read outside of it`);
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
export function persistentValues(program: Program, forms: readonly Pick<CallForm, 'call' | 'backward' | 'remat'>[]): Set<number> {
  const out = new Set<number>();
  for (const { call, backward, remat } of forms) {
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
