/** @file A list of whole numbers that grows, four bytes each: data has millions of sequences. */

/** Whole numbers in the order in which they came. */
export interface IntList {
  push(value: number): void;
  /** The numbers so far. */
  values(): Int32Array<ArrayBuffer>;
}

/** A list of nothing. */
export function intList(): IntList {
  let held = new Int32Array(64);
  let length = 0;
  return {
    push(value) {
      if (length === held.length) {
        const larger = new Int32Array(2 * held.length);
        larger.set(held);
        held = larger;
      }
      held[length] = value;
      length++;
    },
    values: () => held.slice(0, length),
  };
}
