/** @file The programs that a loaded model generates with, made for sequences of so many tokens and replaced by larger ones. */

import type { Generator } from './generator.ts';

/** Programs for sequences of so many tokens. */
interface Sized {
  readonly capacity: number;
  readonly generator: Generator;
}

/** The least that programs are made for. */
const LEAST_CAPACITY = 256;

export interface Generators {
  /** Programs for sequences of so many tokens: those that are there, or larger ones in their place. It is called by one at a time. */
  of(tokens: number): Promise<Generator>;
  close(): void;
}

/** @param most tokens that the model takes @param create makes programs for so many tokens */
export function generators(most: number, create: (capacity: number) => Promise<Generator>): Generators {
  let made: Sized | null = null;
  let isClosed = false;
  return {
    async of(tokens) {
      if (made && made.capacity >= tokens) return made.generator;
      made?.generator.close();
      made = null;
      const capacity = Math.min(most, 2 ** Math.ceil(Math.log2(Math.max(LEAST_CAPACITY, tokens))));
      const generator = await create(capacity);
      if (isClosed) generator.close();
      else made = { capacity, generator };
      return generator;
    },
    close() {
      isClosed = true;
      made?.generator.close();
      made = null;
    },
  };
}
