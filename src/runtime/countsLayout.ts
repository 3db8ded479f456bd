/** @file Where what is counted of updates lies in its buffer: how often each group was updated, and what an optimizer makes of that. */

import { COLUMNS, CORRECTIONS } from './corrections.ts';
import { aligned } from './link/layout.ts';

/** Bytes of what one group has in a column: a number in each of `COLUMNS` places, or several numbers. */
export const COUNT_BYTES = 4 * COLUMNS;

/** Offsets in bytes by the names of the functions `adamw_count` and `sgd_count`. */
export interface CountsLayout {
  /** What groups have, `COUNT_BYTES` apart. */
  readonly columns: Readonly<Record<string, number>>;
  /** For each group whether it is updated, one behind the other. */
  readonly updated: number;
  /** What updates are corrected by (./corrections.ts); null where an optimizer needs none. */
  readonly table: number | null;
  readonly bytes: number;
}

const COLUMN_NAMES = { adamw: ['counts', 'rates'], sgd: ['counts'] } as const;

/** Lays out the buffer for so many groups. */
export function countsLayout(groups: number, optimizer: 'adamw' | 'sgd'): CountsLayout {
  const names = COLUMN_NAMES[optimizer];
  const columnBytes = COUNT_BYTES * Math.max(1, groups);
  const updated = names.length * columnBytes;
  const table = updated + aligned(4 * groups);
  return {
    columns: Object.fromEntries(names.map((name, i) => [name, i * columnBytes])),
    updated,
    table: optimizer === 'adamw' ? table : null,
    bytes: table + (optimizer === 'adamw' ? 4 * CORRECTIONS.length : 0),
  };
}
