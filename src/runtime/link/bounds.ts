/** @file Bytes of the activation stack that no pattern exceeds, without linking any: at every call the most that any of its forms keeps. */

import { at } from '../../errors.ts';
import type { BackwardDecl, CallDecl, Program } from '../program.ts';
import { type Form, persistentValues } from './forms.ts';
import type { CallLayout } from './layout.ts';

/** How calls are laid out. */
export interface Layouts {
  /** Returns the slots that a call's forward saves for this backward. It is the same set for the same forms. */
  readonly kept: (call: CallDecl, backward: BackwardDecl | null) => ReadonlySet<number>;
  /** Returns the layout of a call of a function that saves the slots in `kept`. */
  readonly layout: (fn: number, kept: ReadonlySet<number>) => CallLayout;
  /** Bytes of all results of a function. */
  readonly resultBytes: (fn: number) => number;
}

interface FormBound {
  /** Bytes kept for the call's backward, and in the largest frame above them. */
  readonly saved: number;
  readonly frame: number;
}

/** `backward` null: the call runs forward only. */
function formBound({ layout, kept, resultBytes }: Layouts, call: CallDecl, backward: BackwardDecl | null, above: number): FormBound {
  const forward = layout(call.forward, kept(call, backward));
  // of a form that makes more than is needed, what is not needed lies above the frame
  const unwanted = backward && call.grouped === true ? resultBytes(backward.function) : 0;
  const own = backward ? layout(backward.function, kept(call, null)).frameBytes + unwanted : 0;
  return { saved: forward.savedBytes, frame: Math.max(forward.frameBytes + above, own) };
}

/**
 * Most bytes of the stack over all patterns of these forms. What lies below a call is most when every call before it keeps the most,
 * so no combination exceeds it.
 */
export function stackBound(program: Program, layouts: Layouts, valueBytes: readonly number[], forms: readonly Form[]): number {
  const rematerialises = (call: CallDecl): boolean => call.again === true || (call.unit && forms.includes('remat'));
  const ever = program.calls.flatMap((call) => call.backwards.map((backward) => ({ call, backward, remat: rematerialises(call) })));
  const persistent = persistentValues(program, ever);
  // the result of a skipped unit is its residual, which is kept in its place
  if (forms.includes('skipped'))
    for (const { arguments: given, residual, results } of [...program.calls].reverse()) {
      const x = residual === null ? undefined : given[residual.argument];
      if (x?.kind === 'value' && results.some((r) => persistent.has(r))) persistent.add(x.value);
    }
  const bytesOf = (values: readonly number[]): number => values.reduce((sum, v) => sum + at(valueBytes, v), 0);
  let top = 0;
  let peak = 0;
  for (const call of program.calls) {
    // a forward that runs again leaves its results above what it saves
    const above = rematerialises(call) ? bytesOf(call.results) : 0;
    const bounds = [formBound(layouts, call, null, 0), ...call.backwards.map((b) => formBound(layouts, call, b, above))];
    top += bytesOf(call.results.filter((r) => persistent.has(r)));
    peak = Math.max(peak, ...bounds.map((b) => top + b.saved + b.frame));
    if (call.again !== true) top += Math.max(...bounds.map((b) => b.saved));
  }
  return peak;
}
