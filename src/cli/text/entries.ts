/** @file Kernels whose schedules were measured, as text. */

import { scheduleText } from '../../codegen/kernel/schedules.ts';
import { at } from '../../errors.ts';
import type { Entry } from '../../tune/book.ts';

/** Writes a table of kernels: the schedule that won, its time, and how much faster it is than the next. */
export function entriesText(entries: readonly Entry[]): string {
  const rows = entries.map(({ name, trials }) => {
    const best = at(trials, 0);
    const second = trials[1];
    const { ms } = best;
    const lead = ms !== null && second?.ms ? `${(second.ms / ms).toFixed(2)}× faster than ${scheduleText(second.schedule)}` : 'nothing else was measured';
    const wrong = trials.filter((t) => t.ms === null).length;
    return `  ${name.padEnd(34)} ${(ms === null ? '–' : ms.toFixed(2)).padStart(9)} ms  ${scheduleText(best.schedule)}; ${lead}${wrong > 0 ? `; ${wrong} gave wrong results` : ''}`;
  });
  return rows.join('\n');
}
