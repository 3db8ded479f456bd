/** @file The report of `ebb plan` as text. */

import { memoryText } from '../../run/runMemory.ts';
import type { PlanReport } from '../../session/plan.ts';

/** Writes the report as text. */
export function planText({ memory, budget, notes, longest }: PlanReport): string {
  const lines = [...notes, memoryText(memory, budget)];
  if (!longest) return [...lines, 'give --memory-budget to see how long sequences can be'].join('\n');
  return [
    ...lines,
    `longest sequences within the budget at batch ${longest.batch}, in steps of ${longest.within} tokens, with sampling fixed-budget:`,
    `  ${'drop rate'.padEnd(12)}${'all saved'.padStart(12)}${'forwards run again'.padStart(22)}`,
    ...longest.rates.map(({ rate, saving, again }) => `  ${String(rate).padEnd(12)}${String(saving).padStart(12)}${String(again).padStart(22)}`),
  ].join('\n');
}
