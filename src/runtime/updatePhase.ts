/** @file The calls that end a step: squared norms of the gradients, the clip scale, and one optimizer call for each group. */

import { type Address, address, BUFFERS } from './address.ts';
import type { DeviceBuffers } from './buffers.ts';
import { NORM_BYTES } from './buffers.ts';
import type { DispatchTime } from './profile.ts';
import type { FunctionDecl, Program, Sizes } from './program.ts';
import { type StoragePlan, trainableBuffer } from './storage.ts';

/** A function to be run at given addresses, sizes and scalars. */
export interface PlannedCall {
  readonly fn: number;
  readonly slots: readonly Address[];
  readonly sizes: Sizes;
  readonly accumulate: number;
  readonly scalar: (name: string) => number;
  /** Bind what these sizes take, not what the bounds would. */
  readonly exact: boolean;
  /** What it is part of, for those who measure. */
  readonly site: string;
  readonly phase: DispatchTime['phase'];
}

/** The optimizer's part of a step; scalars of a group by name. */
export interface Update {
  readonly optimizer: 'adamw' | 'sgd';
  readonly maxNorm: number;
  readonly scalar: (name: string, group: number) => number;
  /** Groups to update besides those that got a gradient (`missingGrad: zeros`). */
  readonly alsoUntouched: boolean;
}

/** @param updated groups of parameters that are updated */
export function updatePhase(program: Program, storage: StoragePlan, buffers: DeviceBuffers, update: Update, updated: readonly number[]): PlannedCall[] {
  const { normParts, normScale } = buffers;
  const sizesOf = (group: number): Sizes => {
    const bytes = storage.groups[group]?.bytes ?? 0;
    return { N: bytes / 16, Q: bytes / 256, G: storage.groups.length };
  };
  const place = (g: number, kind: number): Address => address(trainableBuffer(storage.groups[g]?.page ?? 0, kind), storage.groups[g]?.offset ?? 0);
  const call = (name: string, group: number, byName: Readonly<Record<string, Address>>, scalar: PlannedCall['scalar']): PlannedCall => {
    const fn = program.updates[name] ?? -1;
    const { slots } = program.functions[fn] as FunctionDecl;
    return {
      fn,
      slots: withScratch(slots.map((slot) => byName[slot.name] ?? -1)),
      sizes: sizesOf(group),
      accumulate: 0,
      scalar,
      exact: true,
      site: storage.groups[group]?.name ?? '',
      phase: 'update',
    };
  };
  const none = (): number => 0;
  return [
    ...updated.map((g) => call('sqnorm', g, { g: place(g, 1), parts: normParts + g * NORM_BYTES }, none)),
    call('clip', 0, { parts: normParts, norm_scale: normScale }, () => update.maxNorm),
    ...updated.map((g) =>
      call(update.optimizer, g, { p: place(g, 0), g: place(g, 1), m: place(g, 2), v: place(g, 3), norm_scale: normScale }, (name) =>
        name === 'decay_rows' ? (storage.groups[g]?.decayBytes ?? 0) / 16 : update.scalar(name, g),
      ),
    ),
  ];
}

/** Temporaries of the update functions lie in the stack, which is empty by then. */
function withScratch(slots: readonly Address[]): Address[] {
  let end = 0;
  return slots.map((at) => {
    if (at >= 0) return at;
    end += 256;
    return address(BUFFERS.stack, end - 256);
  });
}
