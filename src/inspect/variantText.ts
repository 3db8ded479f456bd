/** @file Writes a variant as text: its calls, and tables that compare two variants. */

import { at } from '../errors.ts';
import type { Variant } from '../runtime/link/linked.ts';
import type { Program } from '../runtime/program.ts';
import { amount, type CallReport, QUANTITIES, QUANTITY_TEXT, type Totals, type VariantReport } from './report.ts';

/** The number of values whose addresses a call of the variant is given. @param call its place among the variant's calls */
const valuesOf = (variant: Variant, call: number): number => at(variant.calls, call).slots.filter((address) => address >= 0).length;

/** Writes the calls of a variant, one a line. @param wanted chooses among them */
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

/** Writes the quantities of a pattern beside those with nothing dropped. */
export function compareTable(own: Totals, none: Totals): string {
  const rows = QUANTITIES.map((key) => {
    const { label, unit } = QUANTITY_TEXT[key];
    return `${label.padEnd(22)}${amount(own[key], unit).padStart(14)}${amount(none[key], unit).padStart(18)}`;
  });
  return [`${''.padEnd(22)}${'this pattern'.padStart(14)}${'nothing dropped'.padStart(18)}`, ...rows].join('\n');
}

/** The quantities of `a` less those of `b`. */
export function removed(a: Totals, b: Totals): Totals {
  return Object.fromEntries(QUANTITIES.map((key) => [key, a[key] - b[key]])) as Record<keyof Totals, number>;
}

/** Writes the quantities of two patterns, and what `b` leaves out of `a`, absolute and in per cent. */
export function removedTable(a: Totals, b: Totals): string {
  const less = removed(a, b);
  const rows = QUANTITIES.map((key) => {
    const { label, unit } = QUANTITY_TEXT[key];
    const share = a[key] === 0 ? '' : `${((100 * less[key]) / a[key]).toFixed(1)} %`;
    return `${label.padEnd(22)}${[a, b, less].map((t) => amount(t[key], unit).trimEnd().padStart(14)).join('')}${share.padStart(10)}`;
  });
  return [`${''.padEnd(22)}${['a', 'b', 'removed'].map((s) => s.padStart(14)).join('')}`, ...rows].join('\n');
}
