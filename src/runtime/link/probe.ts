/**
 * @file What each unit's backward is worth: norms of gradients with one unit dropped at a time, from one forward.
 *
 * Above a dropped unit nothing changes, and the unit's own parameters lose their gradient; only what lies below runs again, from a copy
 * of the cotangent that arrives at the unit. The walk down runs this side chain, then the unit's own backward, and goes on: one forward
 * and about 1 + U/2 backwards for U units, where dropping them one by one takes U + 1 of both.
 */

import { at, EbbError, invariant } from '../../errors.ts';
import type { CallDecl, Program } from '../program.ts';
import { type Address, address, BUFFERS } from './address.ts';
import { type Descent, startDescent } from './descent.ts';
import { formsOfCalls, type Pattern } from './forms.ts';
import { aligned } from './layout.ts';
import { linkBackward } from './linkBackward.ts';
import type { LinkedCall } from './linked.ts';
import { linkForward } from './linkForward.ts';
import { bytesOf, type Combination, combine, type Linking, linkedBytes, type ProgramLayout, reserve, startLinking } from './linking.ts';

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

/** The probes of all units, linked. */
export interface LinkedProbes {
  readonly stages: readonly ProbeStage[];
  readonly stackBytes: number;
  readonly slotBytes: number;
}

/** For each trainable parameter the calls that use it. */
export function usersOf(program: Program): ReadonlyMap<number, ReadonlySet<number>> {
  const users = new Map<number, Set<number>>();
  program.calls.forEach((call, i) => {
    for (const a of call.arguments)
      if (a.kind === 'param' && at(program.params, a.param).trainable) users.set(a.param, (users.get(a.param) ?? new Set()).add(i));
  });
  return users;
}

/** The value that a unit adds its branch to; null where that is an input of the model, which takes no cotangent. */
function residualOf({ arguments: given, residual }: CallDecl): number | null {
  const x = residual === null ? undefined : given[residual.argument];
  return x?.kind === 'value' ? x.value : null;
}

/** Probes that are being linked. */
interface Probing {
  readonly linking: Linking;
  /** The way down with nothing dropped. */
  readonly main: Descent;
  /** The places to which side chains write gradients that are sums over several calls, since a side chain changes some of the terms. */
  readonly asides: ReadonlyMap<number, Address>;
  readonly stages: ProbeStage[];
  /** Calls that are in a stage. */
  staged: number;
}

/** Bytes of a parameter's gradient with what lies behind its last element. */
const gradientBytes = ({ linking }: Probing, param: number): number => aligned(at(linking.whole.program.params, param).bytes);

/** Where a parameter's gradient lies. */
function ownPlace({ linking }: Probing, param: number): Address {
  const place = at(linking.whole.placement.gradients, param);
  invariant(place !== null, `parameter ${param} is not trained and has no gradient`);
  return place;
}

/** Where a side chain writes a parameter's gradient. */
const sidePlace = (probing: Probing, param: number): Address => probing.asides.get(param) ?? ownPlace(probing, param);

/** What makes a stage besides its calls. */
interface StageOptions {
  readonly dropped?: string;
  /** Where its gradients lie. */
  readonly placeOf: (probing: Probing, param: number) => Address;
  /** Parameters whose gradients' norms are taken, and those whose gradients are zeroed besides the ones that the calls ask for. */
  readonly norms?: Iterable<number>;
  readonly cleared?: Iterable<number>;
}

/** Ends a stage with the calls that were linked since the last one. */
function endStage(probing: Probing, { dropped, placeOf, norms = [], cleared = [] }: StageOptions): void {
  const { linking, stages } = probing;
  const calls = linking.calls.slice(probing.staged);
  probing.staged = linking.calls.length;
  const place = (param: number): GradientPlace => ({ param, at: placeOf(probing, param) });
  const zeroed = new Set([...cleared, ...calls.flatMap((call) => call.zeroed)]);
  stages.push({ dropped: dropped ?? null, cleared: [...zeroed].map(place), calls, norms: [...norms].map(place) });
}

/** Combines cotangents of a value, at offsets of the slots buffer. */
function combineSlots({ linking }: Probing, update: Combination, value: number, y: number, x: number): void {
  combine(linking, update, address(BUFFERS.slots, y), address(BUFFERS.slots, x), bytesOf(linking, value));
}

/** A copy of a value's cotangent. Returns where it lies in the slots buffer. */
function copyOf(probing: Probing, value: number, offset: number): number {
  const { linking } = probing;
  const copy = linking.slots.take(bytesOf(linking, value));
  combineSlots(probing, 'assign', value, copy, offset);
  return copy;
}

/** Copies of cotangents. */
const copiesOf = (probing: Probing, cotangents: Iterable<readonly [number, number]>): Map<number, number> =>
  new Map(Array.from(cotangents, ([value, offset]): [number, number] => [value, copyOf(probing, value, offset)]));

/** Links the backward of call `i` with nothing dropped; the norms of gradients that it alone makes are taken. */
function linkDown(probing: Probing, i: number): void {
  const { linking, main, asides } = probing;
  const before = new Set(main.touched);
  linkBackward(linking, i, main);
  endStage(probing, { placeOf: ownPlace, norms: [...main.touched].filter((param) => !before.has(param) && !asides.has(param)) });
}

/** Copies of the cotangents that would arrive below unit `call` without its branch: of its results, the sum's alone goes on. */
function withoutBranch(probing: Probing, call: CallDecl): Map<number, number> {
  const { linking, main } = probing;
  const x = residualOf(call);
  const y = x === null || call.residual === null ? null : at(call.results, call.residual.result);
  const copies = copiesOf(
    probing,
    [...main.cotangents].filter(([value]) => value === y || !call.results.includes(value)),
  );
  const passed = y === null ? undefined : copies.get(y);
  if (x === null || y === null || passed === undefined) return copies;
  copies.delete(y);
  const known = copies.get(x);
  if (known === undefined) copies.set(x, passed);
  else {
    combineSlots(probing, 'accumulate', x, known, passed);
    linking.slots.give(passed);
  }
  return copies;
}

/** The state in which a side chain starts. */
interface SideStart {
  /** For each value the place of its cotangent in the slots buffer. */
  readonly cotangents: ReadonlyMap<number, number>;
  /** Parameters whose gradients had terms from above. */
  readonly sums: readonly number[];
  readonly cleared: Iterable<number>;
}

/** Links what lies below unit `i` from other cotangents than the main chain's. */
function linkSide(probing: Probing, i: number, { cotangents, sums, cleared }: SideStart): void {
  const { linking } = probing;
  const descent = startDescent(linking, { pops: false, gradientAt: (param) => sidePlace(probing, param), written: sums });
  for (const [value, offset] of cotangents) descent.cotangents.set(value, offset);
  for (let j = i - 1; j >= 0; j--) linkBackward(linking, j, descent);
  for (const offset of descent.cotangents.values()) linking.slots.give(offset);
  endStage(probing, { dropped: at(linking.forms, i).call.site, placeOf: sidePlace, norms: new Set([...descent.touched, ...sums]), cleared });
}

/** Links the side chain of unit `i` with its branch dropped, then its own backward. */
function probeNorm(probing: Probing, i: number, without: ReadonlyMap<number, number>): void {
  const { linking, main, asides } = probing;
  const sums = [...asides.keys()].filter((param) => main.touched.has(param));
  for (const param of sums) combine(linking, 'assign', sidePlace(probing, param), ownPlace(probing, param), gradientBytes(probing, param));
  linkSide(probing, i, { cotangents: without, sums, cleared: [] });
  linkDown(probing, i);
}

/** Links unit `i`'s own backward, then a side chain from what the branch alone passes on. */
function probeDifference(probing: Probing, i: number, without: ReadonlyMap<number, number>): void {
  const { linking, main, asides } = probing;
  linkDown(probing, i);
  const taken = copiesOf(probing, main.cotangents);
  for (const [value, offset] of without) {
    const delta = taken.get(value);
    if (delta !== undefined) combineSlots(probing, 'subtract', value, delta, offset);
    linking.slots.give(offset);
  }
  linkSide(probing, i, { cotangents: taken, sums: [], cleared: asides.keys() });
}

/** Trainable parameters that several calls use. @throws EbbError for differences where units share one, whose gradient would come from several places */
function sharedParams(program: Program, kind: ProbeKind): readonly number[] {
  const shared = [...usersOf(program)].filter(([, calls]) => calls.size > 1);
  const byUnits = shared.find(([, calls]) => [...calls].some((i) => at(program.calls, i).unit));
  if (kind === 'differences' && byUnits)
    throw new EbbError(`parameter ${at(program.params, byUnits[0]).name} is shared by units, whose gradient differences are not measured; take norms`);
  return shared.map(([param]) => param);
}

/**
 * Links the probes of every unit that has a backward. `base` gives the forms of units, none of them dropped; the program needs the
 * functions `assign` and `subtract`.
 * @throws EbbError for differences where units share a parameter
 */
export function linkProbes(whole: ProgramLayout, kind: ProbeKind, base: Pattern = new Map()): LinkedProbes {
  const { program } = whole;
  const shared = sharedParams(program, kind);
  const linking = startLinking(whole, formsOfCalls(program, base, false));
  linking.forms.forEach((_, i) => linkForward(linking, i));
  const asides = new Map(shared.map((param) => [param, reserve(linking, aligned(at(program.params, param).bytes))]));
  const probing: Probing = { linking, main: startDescent(linking, { pops: false }), asides, stages: [], staged: 0 };
  // Norms are taken of whole rows, what lies behind a parameter's last element included: it stays zero from here on.
  endStage(probing, { placeOf: ownPlace });
  endStage(probing, { placeOf: sidePlace, cleared: asides.keys() });
  for (let i = linking.forms.length - 1; i >= 0; i--) {
    const { call, backward } = at(linking.forms, i);
    if (!call.unit || !backward) linkDown(probing, i);
    else if (kind === 'norms') probeNorm(probing, i, withoutBranch(probing, call));
    else probeDifference(probing, i, withoutBranch(probing, call));
  }
  endStage(probing, { placeOf: ownPlace, norms: [...asides.keys()].filter((param) => probing.main.touched.has(param)) });
  const { stack, slots } = linkedBytes(linking);
  return { stages: probing.stages, stackBytes: stack, slotBytes: slots };
}
