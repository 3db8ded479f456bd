/** @file Fits a pattern into a stack of a given size: some of its units run their forward again instead of saving, at the least FLOPs. */

import { at } from '../../errors.ts';
import { extentBytes, functionFlops, type Program, type Sizes } from '../program.ts';
import { formsOfCalls, functionOf, type Pattern, persistentValues } from './forms.ts';
import { aligned } from './layout.ts';
import type { Linker } from './link.ts';
import type { Variant } from './linked.ts';

/** A pattern as it runs, with the variant that it links into. */
export interface Fitted {
  readonly pattern: Pattern;
  readonly variant: Variant;
  /** Units turned from `full` to `remat`. */
  readonly again: readonly string[];
}

/**
 * The pattern with units turned to `remat` so that its stack holds at most `stackBytes`, with the least FLOPs run again; null where no
 * choice of units fits. A call keeps bytes below the calls after it and has its own peak above what those before it keep, by its own form
 * and by whether its reader keeps its result; so `leastAgain` finds the least exactly in a chain of residuals. What it found is linked, and
 * should the stack exceed its size after all, less is allowed. Deterministic, so that a resume runs the same.
 */
export function fitPattern(program: Program, linker: Linker, sizes: Sizes, pattern: Pattern, stackBytes: number): Fitted | null {
  const saved = linker.link(pattern);
  if (saved.stackBytes <= stackBytes) return { pattern, variant: saved, again: [] };
  const units = new Set(program.calls.flatMap((c) => (c.unit && !pattern.has(c.site) && saved.kept.includes(c.site) ? [c.site] : [])));
  const turned = (sites: Iterable<string>): Pattern => new Map([...pattern, ...Array.from(sites, (u) => [u, 'remat'] as const)]);
  const everything = turned(units);
  const all = linker.link(everything);
  const choices = choicesOf(program, sizes, units, { pattern, variant: saved }, { pattern: everything, variant: all });
  let allowed = stackBytes;
  for (let found = leastAgain(choices, allowed); found; found = leastAgain(choices, allowed)) {
    const fitted = turned(found);
    const variant = linker.link(fitted);
    if (variant.stackBytes <= stackBytes) return { pattern: fitted, variant, again: found };
    allowed -= variant.stackBytes - stackBytes;
  }
  return all.stackBytes <= stackBytes ? { pattern: everything, variant: all, again: [...units] } : null;
}

/** What a call takes on the stack, in bytes: what it keeps for its backward, and its peak in forward or backward above what lies below it. */
interface CallBytes {
  readonly kept: number;
  readonly peak: number;
}

interface Choice {
  readonly site: string;
  readonly full: CallBytes;
  /** `input`: bytes of the call before it that are kept for it only if it runs again. */
  readonly remat: (CallBytes & { readonly flops: number; readonly input: number }) | null;
}

type Linked = Pick<Fitted, 'pattern' | 'variant'>;

function choicesOf(program: Program, sizes: Sizes, units: ReadonlySet<string>, full: Linked, remat: Linked): readonly Choice[] {
  const persistent = ({ pattern }: Linked): ReadonlySet<number> => persistentValues(program, formsOfCalls(program, pattern, false));
  const [always, maybe] = [persistent(full), persistent(remat)];
  const bytesOf = (values: readonly number[]): number =>
    values.reduce((sum, v) => sum + (maybe.has(v) && !always.has(v) ? aligned(extentBytes(program.values[v]?.extent ?? { of: [], bytes: 0 }, sizes)) : 0), 0);
  const [whole, again] = [callBytes(program, full.variant), callBytes(program, remat.variant)];
  return program.calls.map(({ site, forward, results, arguments: given }, i): Choice => {
    if (!units.has(site)) return { site, full: whole[i] ?? NONE, remat: null };
    // its result is counted with the reader that keeps it
    const [own, below] = [bytesOf(results), program.calls[i - 1]?.results ?? []];
    const input = bytesOf(given.flatMap((a) => (a.kind === 'value' && below.includes(a.value) ? [a.value] : [])));
    const { kept, peak } = again[i] ?? NONE;
    const flops = functionFlops(functionOf(program, forward), sizes);
    return { site, full: whole[i] ?? NONE, remat: { kept: kept - own, peak: peak - own, flops, input } };
  });
}

const NONE: CallBytes = { kept: 0, peak: 0 };

/** Returns what each call of the program takes on the stack. A skipped call takes nothing. */
function callBytes(program: Program, variant: Variant): readonly CallBytes[] {
  const base: number[] = program.calls.map(() => 0);
  const bytes: CallBytes[] = program.calls.map(() => NONE);
  let below = 0;
  for (const { phase, call, footprint } of variant.calls) {
    if (call < 0) continue;
    const forward = phase === 'forward';
    if (forward) base[call] = below;
    const { kept, peak } = at(bytes, call);
    bytes[call] = { kept: forward ? footprint.kept - below : kept, peak: Math.max(peak, footprint.kept + footprint.frame - at(base, call)) };
    if (forward) below = footprint.kept;
  }
  return bytes;
}

/** A choice for the calls so far: the bytes that they keep, the peak of the last one, the FLOPs that run again, and the units that do. */
interface State {
  readonly bytes: number;
  readonly peak: number;
  readonly flops: number;
  readonly again: { readonly site: string; readonly before: State['again'] } | null;
}
/** More states than this are thinned out, and the least is then a good one, not surely the least; equal layers make far fewer. */
const MOST_STATES = 4096;

/**
 * Sites to run again with the least FLOPs, so that no call's peak exceeds `allowed`; null where there are none. By dynamic programming over
 * the calls: of two states with the same form last, one with fewer bytes and fewer FLOPs is better whatever follows.
 */
function leastAgain(choices: readonly Choice[], allowed: number): readonly string[] | null {
  /** Two lists: one where the last call saves, one where it runs again. Each is sorted by rising bytes and falling FLOPs. */
  let states: readonly (readonly State[])[] = [[{ bytes: 0, peak: 0, flops: 0, again: null }]];
  for (const { site, full, remat } of choices) {
    const next = (from: readonly State[], { kept, peak }: CallBytes, input: number, make: (s: State) => Pick<State, 'flops' | 'again'>): State[] =>
      from.flatMap((s) => {
        const top = s.bytes + input + peak;
        return top > allowed || s.peak + input > allowed ? [] : [{ bytes: s.bytes + input + kept, peak: top, ...make(s) }];
      });
    const saving = undominated(states.map((from) => next(from, full, 0, ({ flops, again }) => ({ flops, again }))));
    const running = remat && states.map((from) => next(from, remat, remat.input, (s) => ({ flops: s.flops + remat.flops, again: { site, before: s.again } })));
    states = running ? [saving, undominated(running)] : [saving];
  }
  const best = undominated(states).at(-1);
  if (!best) return null;
  const sites: string[] = [];
  for (let at = best.again; at; at = at.before) sites.unshift(at.site);
  return sites;
}

/** Merges two lists that are sorted by bytes, and leaves out each state for which another has both fewer bytes and fewer FLOPs. */
function undominated([a = [], b = []]: readonly (readonly State[])[]): readonly State[] {
  const kept: State[] = [];
  let flops = Number.POSITIVE_INFINITY;
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const [x, y] = [a[i], b[j]];
    const first = x && (!y || x.bytes < y.bytes || (x.bytes === y.bytes && x.flops <= y.flops));
    const state = (first ? x : y) as State;
    if (first) i++;
    else j++;
    if (state.flops < flops) kept.push(state);
    flops = Math.min(flops, state.flops);
  }
  const every = Math.ceil(kept.length / MOST_STATES);
  return kept.filter((_, i) => i % every === 0 || i === kept.length - 1);
}
