/** @file Counts how often each parameter group of an engine was updated, which the optimizer's scalars depend on. */

import { at } from '../src/errors.ts';
import type { Engine } from '../src/index.ts';

/** Counts updates of parameter groups, which are given by their indices. */
export interface UpdateCounter {
  /** The number of updates of a group so far. */
  of(group: number): number;
  /** Counts one more update of these groups. */
  add(groups: readonly number[]): void;
}

export function updateCounter({ storage }: Pick<Engine, 'storage'>): UpdateCounter {
  const updates = storage.groups.map(() => 0);
  return {
    of: (group) => at(updates, group),
    add: (groups) => {
      for (const group of groups) updates[group] = at(updates, group) + 1;
    },
  };
}
