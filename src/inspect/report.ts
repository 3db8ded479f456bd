/** @file What a linked variant costs, counted call by call. Plain arithmetic over a program: the page of `--html` runs it too. */

import type { Form, Pattern } from '../runtime/link/forms.ts';
import { createLinker, type Linker } from '../runtime/link/link.ts';
import type { LinkedCall, Variant } from '../runtime/link/linked.ts';
import { dispatchBytes, functionFlops, type Program, type Sizes } from '../runtime/program.ts';
import { planStorage } from '../runtime/storage.ts';

/** One call of a variant: what it runs and what that costs. */
export interface CallReport {
  readonly site: string;
  readonly function: string;
  readonly phase: string;
  readonly dispatches: number;
  readonly flops: number;
  /** Bytes that its kernels read and write. */
  readonly bytes: number;
}

/** The quantities of a variant that can be compared between patterns. */
export const QUANTITIES = ['forwardFlops', 'backwardFlops', 'bytesMoved', 'savedBytes', 'peakBytes', 'dispatches'] as const;
export type Quantity = (typeof QUANTITIES)[number];
export type Totals = Readonly<Record<Quantity, number>>;

/** A variant in numbers, as `ebb inspect --json` prints it. */
export interface VariantReport extends Totals {
  readonly dropped: readonly string[];
  /** Units whose forward runs again; absent when there is none. */
  readonly remat?: readonly string[];
  /** Units without a forward too; absent when there is none. */
  readonly skipped?: readonly string[];
  readonly frontier: string | null;
  readonly calls: readonly CallReport[];
}

/** Name and unit of each quantity, for people. */
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

/** A linker for looking at variants: no limits of a device. */
export function inspectionLinker(program: Program): Linker {
  const bounds = boundsOf(program);
  const { placement } = planStorage(program, bounds, { maxBufferSize: 2 ** 40, maxBinding: 2 ** 40 }, () => true);
  return createLinker(program, placement, bounds);
}

/** Units of a pattern with this form, in the order they run. */
export function unitsIn(program: Program, pattern: Pattern, form: Form): string[] {
  return program.calls.filter((c) => c.unit && pattern.get(c.site) === form).map((c) => c.site);
}

function callReport(program: Program, call: LinkedCall, sizes: Sizes): CallReport {
  const fn = program.functions[call.fn];
  const at = call.phase === 'sum' ? { ...sizes, N: call.rows } : sizes;
  const bytes = fn?.dispatches.reduce((sum, d) => sum + dispatchBytes(fn, d, at), 0) ?? 0;
  const flops = fn ? functionFlops(fn, at) : 0;
  return { site: program.calls[call.call]?.site ?? '', function: fn?.name ?? '', phase: call.phase, dispatches: fn?.dispatches.length ?? 0, flops, bytes };
}

/** Sums over calls. Sums of cotangents are counted as the engine counts them: in dispatches, not in FLOPs. */
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

/** Units of a pattern that are not `full`, as they were named. */
export interface NamedUnits {
  readonly dropped: readonly string[];
  readonly remat: readonly string[];
  readonly skipped: readonly string[];
}

/** Those of a pattern, in the order they run. */
export const namedUnits = (program: Program, pattern: Pattern): NamedUnits => ({
  dropped: unitsIn(program, pattern, 'dropped'),
  remat: unitsIn(program, pattern, 'remat'),
  skipped: unitsIn(program, pattern, 'skipped'),
});

/** Counts a variant at `sizes`. */
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

/** A report of some of its calls. Saved bytes and the peak stay those of the whole variant. */
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

/** `12.35 MB`, `1.50 GFLOP`, `8 `. */
export function amount(value: number, unit: string): string {
  for (const [size, prefix] of FORMATS) if (Math.abs(value) >= size) return `${(value / size).toFixed(2)} ${prefix}${unit}`;
  return `${value} ${unit}`;
}
