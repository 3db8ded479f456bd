/** @file A way down over the calls: the cotangents that are under way, and the gradients that were written. */

import { at } from '../../errors.ts';
import type { BackwardDecl } from '../program.ts';
import { type Address, address, BUFFERS } from './address.ts';
import { bytesOf, combine, type Linking } from './linking.ts';

/** Backwards of calls, one below the other. */
export interface Descent {
  /** For each value the place of its cotangent in the slots buffer. */
  readonly cotangents: Map<number, number>;
  /** Parameters that got a gradient. */
  readonly touched: Set<number>;
  /** Gradients written: of whole parameters, and addresses of those of rows. */
  readonly wholes: Set<number>;
  readonly parts: Set<Address>;
  readonly gradientAt: (param: number) => Address;
  /** Whether what was saved for a call is given up behind its backward. */
  readonly pops: boolean;
}

export interface DescentOptions {
  /** Parameters whose gradient was written before in this step. */
  readonly written?: Iterable<number>;
  /** The place that the gradient of a parameter is written to. Default: the one that the placement gives it. */
  readonly gradientAt?: (param: number) => Address;
  readonly pops?: boolean;
}

/** A descent that has not begun. */
export function startDescent({ whole }: Linking, { written = [], gradientAt, pops = true }: DescentOptions = {}): Descent {
  const placed = (param: number): Address => at(whole.placement.gradients, param) ?? -1;
  return { cotangents: new Map(), touched: new Set(), wholes: new Set(written), parts: new Set(), gradientAt: gradientAt ?? placed, pops };
}

/** Adds a cotangent at `offset` of the slots buffer to that of a value that was read, or makes it that value's. */
export function contribute(linking: Linking, { cotangents }: Descent, reader: number, offset: number): void {
  const value = at(linking.roots, reader);
  const known = cotangents.get(value);
  if (known === undefined) {
    cotangents.set(value, offset);
    return;
  }
  combine(linking, 'accumulate', address(BUFFERS.slots, known), address(BUFFERS.slots, offset), bytesOf(linking, value));
  linking.slots.give(offset);
}

/** Leaves the branch of unit `i` out: its residual's cotangent passes as it is, those of other results are lost. */
export function drop(linking: Linking, i: number, descent: Descent): void {
  const { call } = at(linking.forms, i);
  const { residual } = call;
  const x = residual === null ? null : at(call.arguments, residual.argument);
  call.results.forEach((value, k) => {
    const offset = descent.cotangents.get(value);
    descent.cotangents.delete(value);
    if (offset === undefined) return;
    if (k === residual?.result && x?.kind === 'value') contribute(linking, descent, x.value, offset);
    else linking.slots.give(offset);
  });
  if (descent.pops) linking.top = at(linking.marks, i);
}

/** Writes zeros for cotangents that do not arrive: a form that many patterns share reads them under all of those. */
export function fillCotangents(linking: Linking, i: number, { sources }: BackwardDecl, { cotangents }: Descent): void {
  const { call } = at(linking.forms, i);
  for (const { from, index } of sources) {
    if (from !== 'cotangent') continue;
    const value = at(call.results, index);
    if (cotangents.has(value)) continue;
    const bytes = bytesOf(linking, value);
    const offset = linking.slots.take(bytes);
    combine(linking, 'zero', address(BUFFERS.slots, offset), null, bytes);
    cotangents.set(value, offset);
  }
}
