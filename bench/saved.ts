/** @file Adds up, call by call, the bytes that a step's backwards read of its forward. A step should save exactly these. */

import { at } from '../src/errors.ts';
import { type Address, BUFFERS, bufferOf } from '../src/runtime/link/address.ts';
import { slotBytes } from '../src/runtime/link/layout.ts';
import type { Variant } from '../src/runtime/link/linked.ts';
import type { Program, Sizes } from '../src/runtime/program.ts';

/** Returns the bytes on the stack whose addresses backward calls are given, each counted once. @param sizes those that the variant was laid out at @param variant one in which no forward runs again */
export function bytesReadBack({ functions }: Program, { calls }: Variant, sizes: Sizes): number {
  const read = new Map<Address, number>();
  for (const { phase, fn, slots } of calls) {
    if (phase !== 'backward') continue;
    const decl = at(functions, fn);
    for (const { slot } of decl.params) {
      const address = at(slots, slot);
      if (address >= 0 && bufferOf(address) === BUFFERS.stack) read.set(address, slotBytes(decl, slot, sizes));
    }
  }
  return [...read.values()].reduce((sum, bytes) => sum + bytes, 0);
}
