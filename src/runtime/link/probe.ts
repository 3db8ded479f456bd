/**
 * @file What each unit's backward is worth: norms of gradients with one unit dropped at a time, from one forward.
 *
 * Above a dropped unit nothing changes, and the unit's own parameters lose their gradient; only what lies below runs again, from a copy
 * of the cotangent that arrives at the unit. The walk down runs this side chain, then the unit's own backward, and goes on: one forward
 * and about 1 + U/2 backwards for U units, where dropping them one by one takes U + 1 of both.
 */

import { EbbError } from '../../errors.ts';
import type { CallDecl, Program } from '../program.ts';
import { type Address, address, BUFFERS } from './address.ts';
import { type CallPlan, type Pattern, planCalls } from './forms.ts';
import { aligned } from './layout.ts';
import type { LinkedCall } from './linked.ts';
import { startWalk } from './walk.ts';
import type { Terrain } from './walkTypes.ts';

/**
 * `norms`: of the gradients with the unit dropped. `differences`: of what dropping it takes away from them, which by linearity is the
 * backward of what the branch passes on.
 */
export type ProbeKind = 'norms' | 'differences';

/** A gradient, by its parameter and where it lies. */
export interface GradientPlace {
  readonly param: number;
  readonly at: Address;
}

/** Calls that run one after the other, then gradients whose norms are taken. */
export interface ProbeStage {
  /** The unit that is dropped, or null: nothing is. */
  readonly dropped: string | null;
  /** Gradients that are zeroed before. */
  readonly cleared: readonly GradientPlace[];
  readonly calls: readonly LinkedCall[];
  readonly norms: readonly GradientPlace[];
}

export interface ProbePlan {
  readonly stages: readonly ProbeStage[];
  readonly stackBytes: number;
  readonly slotBytes: number;
}

/** For each trainable parameter the calls that use it. */
export function usersOf(program: Program): ReadonlyMap<number, ReadonlySet<number>> {
  const users = new Map<number, Set<number>>();
  program.calls.forEach((call, i) => {
    for (const a of call.arguments) if (a.kind === 'param' && program.params[a.param]?.trainable) users.set(a.param, (users.get(a.param) ?? new Set()).add(i));
  });
  return users;
}

/** The value that a unit adds its branch to; null where that is an input of the model, which takes no cotangent. */
function residualOf({ arguments: given, residual }: CallDecl): number | null {
  const x = residual === null ? undefined : given[residual.argument];
  return x?.kind === 'value' ? x.value : null;
}

/**
 * Links the probes of every unit that has a backward. `base` gives the forms of units, none of them dropped; the program needs the
 * functions `assign` and `subtract`.
 * @throws EbbError for differences where units share a parameter, whose gradient would come from several places
 */
export function planProbes(terrain: Terrain, kind: ProbeKind, base: Pattern = new Map()): ProbePlan {
  const { program, placement, valueBytes } = terrain;
  const plans = planCalls(program, base, false);
  const walk = startWalk(terrain, plans);
  const own = (param: number): Address => placement.gradients[param] ?? -1;
  const bytesOf = (param: number): number => aligned(program.params[param]?.bytes ?? 0);
  plans.forEach((_, i) => walk.forward(i));
  // gradients that are sums over several calls: a side chain changes some of the terms, and gets a place of its own
  const shared = [...usersOf(program)].filter(([, calls]) => calls.size > 1);
  const byUnits = shared.find(([, calls]) => [...calls].some((i) => program.calls[i]?.unit));
  if (kind === 'differences' && byUnits)
    throw new EbbError(`parameter ${program.params[byUnits[0]]?.name} is shared by units, whose gradient differences are not measured; take norms`);
  const places = new Map(shared.map(([param]) => [param, walk.reserve(bytesOf(param))]));
  const aside = (param: number): Address => places.get(param) ?? own(param);

  const stages: ProbeStage[] = [];
  let linked = 0;
  const stage = (dropped: string | null, at: (param: number) => Address, norms: Iterable<number>, cleared: readonly number[] = []): void => {
    const calls = walk.calls.slice(linked);
    linked = walk.calls.length;
    const place = (param: number): GradientPlace => ({ param, at: at(param) });
    stages.push({ dropped, cleared: [...new Set([...cleared, ...calls.flatMap((c) => c.zeroed)])].map(place), calls, norms: [...norms].map(place) });
  };

  // norms are taken of whole rows, what lies behind a parameter's last element included: it stays zero from here on
  stage(null, own, []);
  stage(null, aside, [], [...places.keys()]);

  const combine = (update: 'accumulate' | 'assign' | 'subtract', value: number, y: number, x: number): void =>
    walk.combine(update, address(BUFFERS.slots, y), address(BUFFERS.slots, x), valueBytes[value] ?? 0);
  const copyOf = (value: number, offset: number): number => {
    const copy = walk.take(value);
    combine('assign', value, copy, offset);
    return copy;
  };

  const main = walk.pass({ pops: false });
  /** Links the backward of call `i` with nothing dropped; gradients that only it makes are whole. */
  const down = (i: number): void => {
    const before = new Set(main.touched);
    walk.backward(i, main);
    stage(
      null,
      own,
      [...main.touched].filter((param) => !before.has(param) && !places.has(param)),
    );
  };
  /** Copies of the cotangents that would arrive below unit `i` without its branch: of its results, the sum's alone goes on. */
  const withoutBranch = (call: CallDecl): Map<number, number> => {
    const x = residualOf(call);
    const y = x === null ? undefined : call.results[call.residual?.result ?? -1];
    const going = [...main.cotangent].filter(([value]) => value === y || !call.results.includes(value));
    const copies = new Map(going.map(([value, offset]): [number, number] => [value, copyOf(value, offset)]));
    const passed = y === undefined ? undefined : copies.get(y);
    if (x === null || y === undefined || passed === undefined) return copies;
    copies.delete(y);
    const known = copies.get(x);
    if (known === undefined) copies.set(x, passed);
    else {
      combine('accumulate', x, known, passed);
      walk.give(passed);
    }
    return copies;
  };
  /** Links what lies below unit `i` from the cotangents in `from`; `sums`: gradients that had terms from above. */
  const side = (i: number, from: ReadonlyMap<number, number>, sums: readonly number[], cleared: readonly number[]): void => {
    const pass = walk.pass({ pops: false, gradientAt: aside, written: sums });
    for (const [value, offset] of from) pass.cotangent.set(value, offset);
    for (let j = i - 1; j >= 0; j--) walk.backward(j, pass);
    for (const offset of pass.cotangent.values()) walk.give(offset);
    stage(plans[i]?.call.site ?? '', aside, new Set([...pass.touched, ...sums]), cleared);
  };

  for (let i = plans.length - 1; i >= 0; i--) {
    const { call, backward } = plans[i] as CallPlan;
    if (!call.unit || !backward) {
      down(i);
      continue;
    }
    const without = withoutBranch(call);
    if (kind === 'norms') {
      const sums = [...places.keys()].filter((param) => main.touched.has(param));
      for (const param of sums) walk.combine('assign', aside(param), own(param), bytesOf(param));
      side(i, without, sums, []);
      down(i);
    } else {
      down(i);
      const taken = new Map([...main.cotangent].map(([value, offset]): [number, number] => [value, copyOf(value, offset)]));
      for (const [value, offset] of without) {
        const delta = taken.get(value);
        if (delta !== undefined) combine('subtract', value, delta, offset);
        walk.give(offset);
      }
      side(i, taken, [], [...places.keys()]);
    }
  }
  stage(
    null,
    own,
    [...places.keys()].filter((param) => main.touched.has(param)),
  );
  const { stack, slots } = walk.bytes();
  return { stages, stackBytes: stack, slotBytes: slots };
}
