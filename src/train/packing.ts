/** @file Packing: sequences of different lengths in few rows, by best fit decreasing (Johnson 1974). */

import { at, invariant } from '../errors.ts';

/** Finds the fullest row that still has room, by the room that rows have: 32 sizes are asked for at once. */
interface Rooms {
  /** Takes a row with the least room of at least `size`; undefined where there is none. */
  take(size: number): number | undefined;
  put(room: number, row: number): void;
}

function rooms(most: number): Rooms {
  const rows: number[][] = Array.from({ length: most + 1 }, () => []);
  const words = new Uint32Array((most >> 5) + 1);
  const lowest = (word: number): number => 31 - Math.clz32(word & -word);
  const find = (size: number): number => {
    let index = size >> 5;
    let word = at(words, index) & (-1 << (size & 31));
    while (word === 0 && ++index < words.length) word = at(words, index);
    return word === 0 ? -1 : (index << 5) + lowest(word);
  };
  return {
    take(size) {
      const room = find(size);
      if (room < 0) return undefined;
      const own = at(rows, room);
      const row = own.pop();
      if (own.length === 0) words[room >> 5] = at(words, room >> 5) & ~(1 << (room & 31));
      return row;
    },
    put(room, row) {
      if (room === 0) return;
      at(rows, room).push(row);
      words[room >> 5] = at(words, room >> 5) | (1 << (room & 31));
    },
  };
}

/**
 * Rows of at most `length` tokens that hold every sequence once and whole: the longest first, each into the fullest row that it fits into. How
 * many rows there are follows from the lengths alone; sequences of one length are taken in the order of `order`.
 * @param lengths tokens of each sequence, at most `length`
 */
export function packRows(lengths: ArrayLike<number>, length: number, order: readonly number[]): number[][] {
  const rows: number[][] = [];
  const room = rooms(length);
  const left: number[] = [];
  for (const i of byLength(lengths, order).reverse()) {
    const size = at(lengths, i);
    invariant(size >= 1 && size <= length, `a sequence of ${size} tokens is to be packed into rows of ${length}`);
    const row = room.take(size) ?? rows.push([]) - 1;
    at(rows, row).push(i);
    left[row] = (left[row] ?? length) - size;
    room.put(at(left, row), row);
  }
  return rows;
}

/** The same sequences from the shortest to the longest; those of one length stay in their order. */
export const byLength = (lengths: ArrayLike<number>, order: readonly number[]): number[] => [...order].sort((a, b) => at(lengths, a) - at(lengths, b));
