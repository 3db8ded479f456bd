/** @file Counts what a linked variant costs, call by call. It is plain arithmetic over a program, so the page of `--html` runs it too. */

import { at } from '../errors.ts';
import type { Form, Pattern } from '../runtime/link/forms.ts';
import { createLinker, type Linker } from '../runtime/link/link.ts';
import type { LinkedCall, Variant } from '../runtime/link/linked.ts';
import { dispatchBytes, functionFlops, type Program, type Sizes } from '../runtime/program.ts';
import { planStorage } from '../runtime/storage.ts';

/** One call of a variant: the function it runs and the cost of that. */
export interface CallReport {
  /** The name of the unit or piece of trunk. Empty for a sum of cotangents. */
  readonly site: string;
  readonly function: string;
  readonly phase: string;
  readonly dispatches: number;
  readonly flops: number;
  /** The bytes that its kernels read and write. */
  readonly bytes: number;
}

/** The quantities of a variant that are compared between patterns. */
export const QUANTITIES = ['forwardFlops', 'backwardFlops', 'bytesMoved', 'savedBytes', 'peakBytes', 'dispatches'] as const;
export type Quantity = (typeof QUANTITIES)[number];
export type Totals = Readonly<Record<Quantity, number>>;

/** A variant in numbers, as `ebb inspect --json` prints it. */
export interface VariantReport extends Totals {
  readonly dropped: readonly string[];
  /** Units whose forward runs again. Absent where there are none. */
  readonly remat?: readonly string[];
  /** Units without a forward too. Absent where there are none. */
  readonly skipped?: readonly string[];
  readonly frontier: string | null;
  readonly calls: readonly CallReport[];
}

/** The name and the unit of each quantity in tables and on the page. */
export const QUANTITY_TEXT: Readonly<Record<Quantity, { readonly label: string; readonly unit: string }>> = {
  forwardFlops: { label: 'forward', unit: 'FLOP' },
  backwardFlops: { label: 'backward', unit: 'FLOP' },
  bytesMoved: { label: 'moved', unit: 'B' },
  savedBytes: { label: 'saved activations', unit: 'B' },
  peakBytes: { label: 'peak of activations', unit: 'B' },
  dispatches: { label: 'dispatches', unit: '' },
};

/** The largest sizes of a program's run-time dimensions, at which its memory is laid out. */
export function boundsOf(program: Program): Sizes {
  return Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));
}

/** Creates a linker for variants that are only looked at, and that no limits of a device apply to. */
export function inspectionLinker(program: Program): Linker {
  const bounds = boundsOf(program);
  const { placement } = planStorage(program, bounds, { maxBufferSize: 2 ** 40, maxBinding: 2 ** 40 }, () => true);
  return createLinker(program, placement, bounds);
}

/** The units that have a form in a pattern, in the order they run. */
export function unitsIn(program: Program, pattern: Pattern, form: Form): string[] {
  return program.calls.filter((c) => c.unit && pattern.get(c.site) === form).map((c) => c.site);
}

function callReport(program: Program, call: LinkedCall, sizes: Sizes): CallReport {
  const fn = at(program.functions, call.fn);
  const sum = call.phase === 'sum';
  const callSizes = sum ? { ...sizes, N: call.rows } : sizes;
  return {
    site: sum ? '' : at(program.calls, call.call).site,
    function: fn.name,
    phase: call.phase,
    dispatches: fn.dispatches.length,
    flops: functionFlops(fn, callSizes),
    bytes: fn.dispatches.reduce((bytes, d) => bytes + dispatchBytes(fn, d, callSizes), 0),
  };
}

/** Adds up calls. Sums of cotangents count as in the engine: among the dispatches and the bytes, and not among the FLOPs. */
function sums(calls: readonly CallReport[]): Omit<Totals, 'savedBytes' | 'peakBytes'> {
  const total = (key: 'flops' | 'bytes' | 'dispatches', phases?: readonly string[]): number =>
    calls.reduce((sum, c) => sum + (phases === undefined || phases.includes(c.phase) ? c[key] : 0), 0);
  return {
    forwardFlops: total('flops', ['forward']),
    backwardFlops: total('flops', ['again', 'backward']),
    bytesMoved: total('bytes'),
    dispatches: total('dispatches'),
  };
}

/** The units of a pattern that are not `full`, by form. */
export interface NamedUnits {
  readonly dropped: readonly string[];
  readonly remat: readonly string[];
  readonly skipped: readonly string[];
}

/** Lists the units of a pattern by form, in the order they run. */
export const namedUnits = (program: Program, pattern: Pattern): NamedUnits => ({
  dropped: unitsIn(program, pattern, 'dropped'),
  remat: unitsIn(program, pattern, 'remat'),
  skipped: unitsIn(program, pattern, 'skipped'),
});

/** Counts what a variant costs at `sizes`. */
export function variantReport(program: Program, variant: Variant, { dropped, remat, skipped }: NamedUnits, sizes: Sizes): VariantReport {
  const calls = variant.calls.map((call) => callReport(program, call, sizes));
  const { forwardFlops, backwardFlops, bytesMoved, dispatches } = sums(calls);
  return {
    dropped,
    ...(remat.length > 0 ? { remat } : {}),
    ...(skipped.length > 0 ? { skipped } : {}),
    frontier: variant.frontier,
    calls,
    forwardFlops,
    backwardFlops,
    bytesMoved,
    savedBytes: variant.savedBytes,
    peakBytes: variant.stackBytes + variant.slotBytes,
    dispatches,
  };
}

/** Restricts a report to some of its calls. The saved bytes and the peak stay those of the whole variant. */
export function restricted(report: VariantReport, wanted: (call: CallReport) => boolean): VariantReport {
  const calls = report.calls.filter(wanted);
  return { ...report, calls, ...sums(calls) };
}

const FORMATS = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** Writes an amount with a decimal prefix: `12.35 MB`, `1.50 GFLOP`; without a prefix it is exact, `8 B`. */
export function amount(value: number, unit: string): string {
  for (const [size, prefix] of FORMATS) if (Math.abs(value) >= size) return `${(value / size).toFixed(2)} ${prefix}${unit}`;
  return `${value} ${unit}`;
}
