/**
 * @file A linking: the calls of a model are walked, forward and back, and one after the other gets an address for every value it touches.
 * This is the state of such a walk and what its steps share; ./linkForward.ts and ./linkBackward.ts take the steps.
 */

import { at, invariant } from '../../errors.ts';
import type { CallDecl, Program, Sizes } from '../program.ts';
import { type Address, address, BUFFERS, bufferOf, offsetOf } from './address.ts';
import type { Layouts } from './bounds.ts';
import { type CallForm, functionOf, persistentValues, valueRoots } from './forms.ts';
import { aligned, type CallLayout } from './layout.ts';
import type { LinkedCall, Placement } from './linked.ts';
import { type SlotPool, slotPool } from './slotPool.ts';

/** What all linkings of one program have in common. */
export interface ProgramLayout {
  readonly program: Program;
  readonly placement: Placement;
  /** Run-time dimensions at their bounds. */
  readonly sizes: Sizes;
  readonly layouts: Layouts;
  /** For each value its bytes, its offset among main's results, and the last call that reads it, or -1 where none does. */
  readonly valueBytes: readonly number[];
  readonly resultOffset: ReadonlyMap<number, number>;
  readonly lastReaders: readonly number[];
}

/** The values that the forward of a call saved for its backward. */
export interface SavedCall {
  /** Offset on the stack. */
  readonly base: number;
  readonly layout: CallLayout;
}

/** A walk over calls; the functions of this folder's `link*.ts` move it on. */
export interface Linking {
  readonly whole: ProgramLayout;
  /** What each call does. */
  readonly forms: readonly CallForm[];
  /** What was linked so far. */
  readonly calls: LinkedCall[];
  /** For each value the one whose bytes it is (./forms.ts). */
  readonly roots: readonly number[];
  /** Values that some backward reads again, and the last call that reads each value, by roots. */
  readonly persistent: ReadonlySet<number>;
  readonly lastReaders: readonly number[];
  /** The address of each value, at the index of the value whose bytes it is. -1 where it has none yet. */
  readonly places: Address[];
  readonly slots: SlotPool;
  /** For each call the height of the stack before its forward, and what its forward saved. */
  readonly marks: number[];
  readonly saves: SavedCall[];
  /** Bytes on the stack now, at most with the scratch above it, and at most without. */
  top: number;
  peak: number;
  saved: number;
}

/** A linking of calls in these forms; nothing is linked yet. */
export function startLinking(whole: ProgramLayout, forms: readonly CallForm[]): Linking {
  const { program } = whole;
  const roots = valueRoots(program, forms);
  const lastReaders = program.values.map(() => -1);
  whole.lastReaders.forEach((reader, value) => {
    const root = at(roots, value);
    lastReaders[root] = Math.max(at(lastReaders, root), reader);
  });
  return {
    whole,
    forms,
    calls: [],
    roots,
    persistent: new Set([...persistentValues(program, forms)].map((value) => at(roots, value))),
    lastReaders,
    places: program.values.map(() => -1),
    slots: slotPool(),
    marks: [],
    saves: [],
    top: 0,
    peak: 0,
    saved: 0,
  };
}

/** Bytes of a value. */
export function bytesOf({ whole }: Linking, value: number): number {
  return at(whole.valueBytes, value);
}

/** The address of what a call gives for a parameter of its function; -1 for scalars, among them the call's constants, which stand behind its arguments. */
export function argumentPlace({ whole, places, roots }: Linking, call: CallDecl, index: number): Address {
  if (index >= call.arguments.length) return -1;
  const argument = at(call.arguments, index);
  const { placement } = whole;
  if (argument.kind === 'value') return at(places, at(roots, argument.value));
  if (argument.kind === 'param') return at(placement.params, argument.param) + (argument.offset ?? 0);
  if (argument.kind === 'input') return at(placement.inputs, argument.input);
  return argument.kind === 'state' ? at(placement.states, argument.state) : -1;
}

/** The address of a slot that a layout holds: saved from `base` on, or scratch from `frame` on; -1 for others. */
export function layoutPlace({ saved, frame }: CallLayout, slot: number, base: number, frameBase: number): Address {
  const [kept, scratch] = [at(saved, slot), at(frame, slot)];
  if (kept >= 0) return address(BUFFERS.stack, base + kept);
  return scratch >= 0 ? address(BUFFERS.stack, frameBase + scratch) : -1;
}

/** Gives back what call `i` was the last to read. */
export function release({ roots, lastReaders, persistent, places, slots }: Linking, { arguments: given }: CallDecl, i: number): void {
  for (const value of new Set(given.flatMap((a) => (a.kind === 'value' ? [at(roots, a.value)] : [])))) {
    const place = at(places, value);
    if (at(lastReaders, value) === i && !persistent.has(value) && bufferOf(place) === BUFFERS.slots) slots.give(offsetOf(place));
  }
}

/** Update functions that a linking uses between calls. */
export type Combination = 'accumulate' | 'assign' | 'subtract' | 'zero';

/** Links y ← f(y, x) over so many bytes, by the update function of that name; `zero` reads no x. */
export function combine({ whole: { program }, calls, top, slots }: Linking, update: Combination, y: Address, x: Address | null, bytes: number): void {
  const fn = program.updates[update];
  invariant(fn !== undefined, `the program has no function ${update}`);
  const { params, results, slots: decls } = functionOf(program, fn);
  const places: Address[] = decls.map(() => -1);
  for (const [k, place] of [y, x].slice(0, params.length).entries()) if (place !== null) places[at(params, k).slot] = place;
  places[at(results, 0).slot] = y;
  for (let from = 0; from < bytes; from += program.partBytes)
    calls.push({
      fn,
      call: -1,
      phase: 'sum',
      slots: places.map((place) => (place < 0 ? place : place + from)),
      adds: false,
      zeroed: [],
      rows: Math.min(program.partBytes, bytes - from) / 16,
      footprint: { kept: top, frame: 0, slots: slots.used() },
    });
}

/** Reserves bytes on the stack, which stay. */
export function reserve(linking: Linking, bytes: number): Address {
  const place = address(BUFFERS.stack, linking.top);
  linking.top += aligned(bytes);
  return place;
}

/** Bytes saved at most, of the stack with the scratch above it, and of the slots. */
export function linkedBytes({ saved, peak, top, slots }: Linking): { readonly saved: number; readonly stack: number; readonly slots: number } {
  return { saved, stack: Math.max(peak, top), slots: slots.bytes() };
}
