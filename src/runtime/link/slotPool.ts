/** @file Fixed places of equal size that come and go. */

import { invariant } from '../../errors.ts';

export interface SlotPool {
  /** A free place of `bytes`. Returns its offset. */
  take(bytes: number): number;
  /** Gives a place back. */
  give(offset: number): void;
  /** Bytes up to the highest place ever taken. */
  bytes(): number;
  /** Bytes taken and not given back. */
  used(): number;
}

/** Makes an empty pool of the memory in which cotangents lie, and residuals that nothing saves. */
export function slotPool(): SlotPool {
  const free = new Map<number, number[]>();
  const sizeOf = new Map<number, number>();
  let end = 0;
  let used = 0;
  return {
    take(bytes) {
      used += bytes;
      const known = free.get(bytes)?.pop();
      if (known !== undefined) return known;
      const offset = end;
      end += bytes;
      sizeOf.set(offset, bytes);
      return offset;
    },
    give(offset) {
      const bytes = sizeOf.get(offset);
      invariant(bytes !== undefined, `no place of the pool begins at byte ${offset}`);
      used -= bytes;
      const list = free.get(bytes) ?? [];
      list.push(offset);
      free.set(bytes, list);
    },
    bytes: () => end,
    used: () => used,
  };
}
