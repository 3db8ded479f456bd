/** @file Sensitivities of units: how much the gradient changes when one alone is dropped (DropBP, arXiv 2402.17812, §3.2). */

import type { GradientProbe } from '../runtime/probe.ts';

/**
 * By unit, Σ over parameters of (‖g‖ − ‖g′‖)², the difference of norms that the reference code takes (`gradnorm`), g′ with the unit dropped; a
 * parameter without a gradient counts as norm 0.
 */
export function sensitivitiesOf({ whole, without }: Pick<GradientProbe, 'whole' | 'without'>): ReadonlyMap<string, number> {
  const difference = (norms: readonly number[]): number => norms.reduce((sum, n, p) => sum + (Math.sqrt(whole[p] ?? 0) - Math.sqrt(n)) ** 2, 0);
  return new Map([...without].map(([unit, norms]) => [unit, difference(norms)]));
}
