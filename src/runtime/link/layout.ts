/** @file Where a function's values lie during one call: a frame of temporaries packed by their lifetimes, and what is kept for backward. */

import { extentBytes, type FunctionDecl } from '../program.ts';

/** Offsets of storage bindings must be multiples of this (WebGPU's minStorageBufferOffsetAlignment default). */
export const ALIGNMENT = 256;
export const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

export interface CallLayout {
  /** For each slot: offset in the frame, or -1. */
  readonly frame: readonly number[];
  /** For each slot: offset in what is saved, or -1. */
  readonly saved: readonly number[];
  readonly frameBytes: number;
  readonly savedBytes: number;
}

export function slotBytes(fn: FunctionDecl, slot: number, sizes: Readonly<Record<string, number>>): number {
  const decl = fn.slots[slot];
  return decl ? aligned(extentBytes(decl.extent, sizes)) : 0;
}

/**
 * Lays out one call of `fn`. Slots in `elsewhere` (arguments, results, gradients) have addresses of their own; slots in `kept` are
 * saved; all others are temporaries, which share bytes when their lifetimes (in dispatches) do not meet.
 */
export function layoutCall(fn: FunctionDecl, elsewhere: ReadonlySet<number>, kept: ReadonlySet<number>, sizes: Readonly<Record<string, number>>): CallLayout {
  const frame = new Array<number>(fn.slots.length).fill(-1);
  const saved = new Array<number>(fn.slots.length).fill(-1);
  let savedBytes = 0;
  for (const slot of kept) {
    saved[slot] = savedBytes;
    savedBytes += slotBytes(fn, slot, sizes);
  }
  const temporaries = fn.slots
    .flatMap((s, i) => (elsewhere.has(i) || kept.has(i) || s.live[1] < 0 ? [] : [i]))
    .sort((a, b) => slotBytes(fn, b, sizes) - slotBytes(fn, a, sizes) || a - b);
  const placed: { slot: number; from: number; to: number }[] = [];
  let frameBytes = 0;
  for (const slot of temporaries) {
    const bytes = slotBytes(fn, slot, sizes);
    const live = fn.slots[slot]?.live ?? [0, 0];
    const rivals = placed
      .filter(({ slot: other }) => {
        const theirs = fn.slots[other]?.live ?? [0, 0];
        return live[0] <= theirs[1] && theirs[0] <= live[1];
      })
      .sort((a, b) => a.from - b.from);
    let at = 0;
    for (const rival of rivals) {
      if (at + bytes <= rival.from) break;
      at = Math.max(at, rival.to);
    }
    placed.push({ slot, from: at, to: at + bytes });
    frame[slot] = at;
    frameBytes = Math.max(frameBytes, at + bytes);
  }
  return { frame, saved, frameBytes, savedBytes };
}
