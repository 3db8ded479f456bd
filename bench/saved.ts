/** @file What a step's backwards read of its forward, added up call by call: what it should save, and nothing beside it. */

import { type Address, BUFFERS, bufferOf } from '../src/runtime/link/address.ts';
import { slotBytes } from '../src/runtime/link/layout.ts';
import type { Variant } from '../src/runtime/link/linked.ts';
import type { Program, Sizes } from '../src/runtime/program.ts';

/** Bytes of the stack that backward calls are handed, each once; `sizes` as the variant was laid out. No forward runs again. */
export function bytesReadBack({ functions }: Program, { calls }: Variant, sizes: Sizes): number {
  const read = new Map<Address, number>();
  for (const { phase, fn, slots } of calls) {
    const decl = functions[fn];
    if (phase !== 'backward' || !decl) continue;
    for (const { slot } of decl.params) {
      const at = slots[slot] ?? -1;
      if (at >= 0 && bufferOf(at) === BUFFERS.stack) read.set(at, slotBytes(decl, slot, sizes));
    }
  }
  return [...read.values()].reduce((sum, bytes) => sum + bytes, 0);
}
