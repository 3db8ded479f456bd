/** @file Links a pattern into a variant: chooses a form for every call and an address for every value. No compilation, no GPU; plain
 * arithmetic, the same for a pattern seen before and one never seen. */

import { at } from '../../errors.ts';
import { type BackwardDecl, type CallDecl, extentBytes, type Program } from '../program.ts';
import { type Layouts, stackBound } from './bounds.ts';
import { startDescent } from './descent.ts';
import { type Form, formsOfCalls, functionOf, keptSlots, type Pattern } from './forms.ts';
import { aligned, type CallLayout, layoutCall, slotBytes } from './layout.ts';
import { linkBackward } from './linkBackward.ts';
import type { Placement, Variant } from './linked.ts';
import { linkForward } from './linkForward.ts';
import { linkedBytes, type ProgramLayout, startLinking } from './linking.ts';
import { type LinkedProbes, linkProbes, type ProbeKind } from './probe.ts';

/** Links drop patterns into step programs, each in well under a millisecond; the layouts of calls are kept. */
export interface Linker {
  link(pattern: Pattern, options?: LinkOptions): Variant;
  /** Bytes that no pattern of these forms exceeds. */
  bounds(forms: readonly Form[]): { readonly stackBytes: number; readonly slotBytes: number };
  /** Links the probes of all units, see ./probe.ts. */
  probes(kind: ProbeKind, base?: Pattern): LinkedProbes;
}

export interface LinkOptions {
  /** Without a backward: evaluation. */
  readonly forwardOnly?: boolean;
  /** Parameters whose gradient was written before in this step. */
  readonly written?: ReadonlySet<number>;
}

const NOTHING_KEPT: ReadonlySet<number> = new Set();

/** Makes a linker for a program whose run-time dimensions are laid out at `sizes` (their bounds). */
export function createLinker(program: Program, placement: Placement, sizes: Readonly<Record<string, number>>): Linker {
  const valueBytes = program.values.map((v) => aligned(extentBytes(v.extent, sizes)));
  const resultOffset = new Map<number, number>();
  program.results.reduce((offset, r) => {
    resultOffset.set(r, offset);
    return offset + at(valueBytes, r);
  }, 0);
  const laidOut = new Map<ReadonlySet<number>, Map<number, CallLayout>>();
  const keptBy = new Map<number, Map<number, ReadonlySet<number>>>();
  /** The same set for the same functions, so that layouts are found by it, by all layers. */
  const keptOf = (call: CallDecl, backward: BackwardDecl | null): ReadonlySet<number> => {
    if (!backward) return NOTHING_KEPT;
    const known = keptBy.get(backward.function)?.get(call.forward);
    if (known) return known;
    const made = keptSlots(program, call, backward);
    keptBy.set(backward.function, (keptBy.get(backward.function) ?? new Map()).set(call.forward, made));
    return made;
  };

  const layout = (index: number, kept: ReadonlySet<number>): CallLayout => {
    const known = laidOut.get(kept)?.get(index);
    if (known) return known;
    const fn = functionOf(program, index);
    const elsewhere = new Set([...fn.params.map((p) => p.slot), ...fn.results.filter((r) => r.role !== 'save').map((r) => r.slot)]);
    const made = layoutCall(fn, elsewhere, kept, sizes);
    laidOut.set(kept, (laidOut.get(kept) ?? new Map()).set(index, made));
    return made;
  };

  const lastReaders = program.values.map((_, v) =>
    program.calls.reduce((last, call, i) => (call.arguments.some((a) => a.kind === 'value' && a.value === v) ? i : last), -1),
  );

  const resultBytes = (index: number): number => {
    const fn = functionOf(program, index);
    return fn.results.reduce((sum, { slot }) => sum + slotBytes(fn, slot, sizes), 0);
  };
  const layouts: Layouts = { kept: keptOf, layout, resultBytes };
  const whole: ProgramLayout = { program, placement, sizes, layouts, valueBytes, resultOffset, lastReaders };

  const link = (pattern: Pattern, { forwardOnly = false, written = new Set() }: LinkOptions = {}): Variant => {
    const callForms = formsOfCalls(program, pattern, forwardOnly);
    const linking = startLinking(whole, callForms);
    for (let i = 0; i < callForms.length; i++) linkForward(linking, i);
    const descent = startDescent(linking, { written });
    for (let i = callForms.length - 1; i >= 0 && !forwardOnly; i--) linkBackward(linking, i, descent);
    const { saved, stack, slots } = linkedBytes(linking);
    const kept = callForms.filter((form) => form.backward !== null).map((form) => form.call.site);
    return { calls: linking.calls, savedBytes: saved, stackBytes: stack, slotBytes: slots, touched: descent.touched, kept, frontier: kept[0] ?? null };
  };

  // a pattern's transient residuals are some of those of an evaluation, its cotangents some of those with nothing dropped
  const slotsBound = link(new Map()).slotBytes + link(new Map(), { forwardOnly: true }).slotBytes;
  return {
    link,
    probes: (kind, base) => linkProbes(whole, kind, base),
    bounds: (forms) => ({ stackBytes: stackBound(program, layouts, valueBytes, forms), slotBytes: slotsBound }),
  };
}
