/** @file A variant as text: its calls, and tables that set two variants side by side. */

import type { Variant } from '../runtime/link/linked.ts';
import type { Program } from '../runtime/program.ts';
import { amount, type CallReport, QUANTITIES, QUANTITY_TEXT, type Totals, type VariantReport } from './report.ts';

/** Addresses that a call of the variant is handed, by its place among the calls. */
const valuesOf = (variant: Variant, call: number): number => variant.calls[call]?.slots.filter((at) => at >= 0).length ?? 0;

/** The calls of a variant, one a line; `wanted` chooses among them. */
export function variantText(program: Program, variant: Variant, r: VariantReport, cost: boolean, wanted: (call: CallReport) => boolean = () => true): string {
  const name = (site: string): string => (site === '' ? '' : ` [${site}]`);
  const lines = r.calls.flatMap((c, i) => {
    if (!wanted(c)) return [];
    const costs = cost ? ` // ${amount(c.flops, 'FLOP')}, ${amount(c.bytes, 'B')}` : '';
    return `  call @${c.function}${name(c.site)} {phase = "${c.phase}", dispatches = ${c.dispatches}, values = ${valuesOf(variant, i)}}${costs}`;
  });
  const remat = r.remat ? `remat = [${r.remat.join(', ')}], ` : '';
  const skip = r.skipped ? `skip = [${r.skipped.join(', ')}], ` : '';
  const head = `variant of @train {drop = [${r.dropped.join(', ')}], ${remat}${skip}frontier = ${r.frontier ?? 'none'}} {`;
  return [head, ...lines, '}'].join('\n') + (program.pipelines.length > 0 ? '\n' : '');
}

/** The quantities of two variants side by side. */
export function compareTable(own: Totals, none: Totals): string {
  const rows = QUANTITIES.map((key) => {
    const { label, unit } = QUANTITY_TEXT[key];
    return `${label.padEnd(22)}${amount(own[key], unit).padStart(14)}${amount(none[key], unit).padStart(18)}`;
  });
  return [`${''.padEnd(22)}${'this pattern'.padStart(14)}${'nothing dropped'.padStart(18)}`, ...rows].join('\n');
}

/** What `b` has less of than `a`. */
export function removed(a: Totals, b: Totals): Totals {
  return Object.fromEntries(QUANTITIES.map((key) => [key, a[key] - b[key]])) as Record<keyof Totals, number>;
}

/** What `b` leaves out of `a`, absolute and in per cent. */
export function removedTable(a: Totals, b: Totals): string {
  const less = removed(a, b);
  const rows = QUANTITIES.map((key) => {
    const { label, unit } = QUANTITY_TEXT[key];
    const share = a[key] === 0 ? '' : `${((100 * less[key]) / a[key]).toFixed(1)} %`;
    return `${label.padEnd(22)}${[a, b, less].map((t) => amount(t[key], unit).trimEnd().padStart(14)).join('')}${share.padStart(10)}`;
  });
  return [`${''.padEnd(22)}${['a', 'b', 'removed'].map((s) => s.padStart(14)).join('')}`, ...rows].join('\n');
}
