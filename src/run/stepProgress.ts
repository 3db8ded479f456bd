/** @file What is told of a run's steps besides their metrics. */

import type { Program } from '../runtime/program.ts';
import type { Counted, Watch } from './progress.ts';

/** What the `tokens` of a model's batches count: rows alone, where they have no length. */
export const countedBy = ({ dims }: Pick<Program, 'dims'>): Counted => (dims.some(({ name }) => name === 'T') ? 'tokens' : 'samples');

const FIRST = "the first step, which waits for the driver's compiling";

/** Steps, the first of which tells that it is under way: drivers may compile for longer than all other steps take. */
export async function* tellingFirst<T>({ onProgress }: Watch, steps: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  let waits = true;
  const end = (): void => {
    if (waits) onProgress?.({ kind: 'work', what: FIRST, state: 'ended' });
    waits = false;
  };
  onProgress?.({ kind: 'work', what: FIRST, state: 'begun' });
  try {
    for await (const step of steps) {
      end();
      yield step;
    }
  } finally {
    end();
  }
}
