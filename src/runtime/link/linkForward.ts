/** @file Links forwards: a call's results get their places, what its backward reads stays on the stack, temporaries lie above. */

import { at } from '../../errors.ts';
import { type Address, address, BUFFERS } from './address.ts';
import { functionOf } from './forms.ts';
import type { CallLayout } from './layout.ts';
import { argumentPlace, bytesOf, type Linking, layoutPlace, release } from './linking.ts';

/** The places of everything that a run of a forward makes. */
interface ForwardRun {
  readonly phase: 'forward' | 'again';
  readonly layout: CallLayout;
  /** Offsets on the stack: of what is saved, and of the temporaries. */
  readonly base: number;
  readonly frame: number;
  /** The address of each result of the call. */
  readonly results: readonly Address[];
  /** Bytes on the stack that stay behind it. */
  readonly kept: number;
}

/** Links one run of call `i`'s forward. */
export function runForwardOf(linking: Linking, i: number, { phase, layout, base, frame, results, kept }: ForwardRun): void {
  const { whole, forms, calls, slots: pool } = linking;
  const { call } = at(forms, i);
  const fn = functionOf(whole.program, call.forward);
  const slots = fn.slots.map((_, slot) => layoutPlace(layout, slot, base, frame));
  fn.params.forEach((p, k) => {
    slots[p.slot] = argumentPlace(linking, call, k);
  });
  const values = fn.results.filter((r) => r.role === 'value');
  // A result that is written in place of a state keeps the state's address.
  for (const [k, { slot }] of values.entries()) if (!fn.params.some((p) => p.slot === slot)) slots[slot] = at(results, k);
  const end = frame + layout.frameBytes;
  linking.peak = Math.max(linking.peak, end);
  calls.push({ fn: call.forward, call: i, phase, slots, adds: false, zeroed: [], rows: 0, footprint: { kept, frame: end - kept, slots: pool.used() } });
}

/** A place for a result of a call: where main's results are read back from, on the stack where a backward reads it again, else in a slot. */
function takePlace(linking: Linking, value: number): Address {
  const { whole, persistent, slots } = linking;
  const offset = whole.resultOffset.get(value);
  if (offset !== undefined) return address(BUFFERS.results, offset);
  const bytes = bytesOf(linking, value);
  if (!persistent.has(value)) return address(BUFFERS.slots, slots.take(bytes));
  linking.top += bytes;
  return address(BUFFERS.stack, linking.top - bytes);
}

/** Links the forward of call `i`; calls come in order. */
export function linkForward(linking: Linking, i: number): void {
  const { whole, forms, places, marks, saves } = linking;
  const { call, backward, remat, skipped } = at(forms, i);
  marks[i] = linking.top;
  if (skipped) {
    release(linking, call, i);
    return;
  }
  const layout = whole.layouts.layout(call.forward, whole.layouts.kept(call, remat ? null : backward));
  const base = linking.top;
  linking.top += layout.savedBytes;
  for (const value of call.results) places[value] = takePlace(linking, value);
  saves[i] = { base, layout };
  linking.saved = Math.max(linking.saved, linking.top);
  const results = call.results.map((value) => at(places, value));
  runForwardOf(linking, i, { phase: 'forward', layout, base, frame: linking.top, results, kept: linking.top });
  release(linking, call, i);
}
