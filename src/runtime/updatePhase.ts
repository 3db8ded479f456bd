/** @file The calls that end a step: squared norms of the gradients, the clip scale, and one optimizer call for each group. */

import { NORM_BYTES } from './bufferBytes.ts';
import type { DeviceBuffers } from './buffers.ts';
import { type Address, address, BUFFERS } from './link/address.ts';
import type { LinkedCall } from './link/linked.ts';
import type { FunctionDecl, Program, Sizes } from './program.ts';
import { type StoragePlan, trainableBuffer } from './storage.ts';

/** A function to be run at given addresses, sizes and scalars. */
export interface PlannedCall {
  readonly fn: number;
  readonly slots: readonly Address[];
  readonly sizes: Sizes;
  readonly adds: boolean;
  readonly scalar: (name: string) => number;
  /** Bind what these sizes take, not what the bounds would. */
  readonly exact: boolean;
  /** What it is part of, for those who measure. */
  readonly site: string;
  readonly phase: LinkedCall['phase'] | 'update';
}

/** The optimizer's part of a step; scalars of a group by name. */
export interface Update {
  readonly optimizer: 'adamw' | 'sgd';
  readonly maxNorm: number;
  readonly scalar: (name: string, group: number) => number;
  /** Groups to update besides those that got a gradient (`missingGrad: zeros`). */
  readonly alsoUntouched: boolean;
}

/** Neighbouring gradients of updated groups, as long as a binding holds them. */
interface Stretch {
  /** Index of the first group. */
  readonly first: number;
  readonly page: number;
  readonly offset: number;
  readonly bytes: number;
  readonly groups: number;
}

/** Rows of parameters are four f32. */
const ROW_BYTES = 16;

function stretches({ groups }: StoragePlan, updated: readonly number[], maxBytes: number): Stretch[] {
  const out: Stretch[] = [];
  for (const g of updated) {
    const group = groups[g];
    if (!group) continue;
    const { page, offset, bytes } = group;
    const last = out.at(-1);
    if (last && last.page === page && last.offset + last.bytes === offset && last.bytes + bytes <= maxBytes)
      out[out.length - 1] = { ...last, bytes: last.bytes + bytes, groups: last.groups + 1 };
    else out.push({ first: g, page, offset, bytes, groups: 1 });
  }
  return out;
}

const PARTS = NORM_BYTES / 4;

/** Rows of a stretch whose squares a workgroup each sums up: as many as its groups have room for and divide it, for GPUs with many cores. */
export function normRows({ bytes, groups }: Pick<Stretch, 'bytes' | 'groups'>): { readonly N: number; readonly Q: number } {
  let N = PARTS;
  while (2 * N <= PARTS * groups && bytes % (2 * N * ROW_BYTES) === 0) N *= 2;
  return { N, Q: bytes / 4 / N };
}

/** @param updated groups of parameters that are updated */
export function updatePhase(
  program: Program,
  storage: StoragePlan,
  buffers: Pick<DeviceBuffers, 'normParts' | 'norm' | 'clipScale'>,
  update: Update,
  updated: readonly number[],
): PlannedCall[] {
  const { normParts, norm, clipScale } = buffers;
  const place = ({ page, offset }: Pick<Stretch, 'page' | 'offset'>, kind: number): Address => address(trainableBuffer(page, kind), offset);
  const call = (name: string, group: string, sizes: Sizes, byName: Readonly<Record<string, Address>>, scalar: PlannedCall['scalar']): PlannedCall => {
    const fn = program.updates[name] ?? -1;
    const { slots } = program.functions[fn] as FunctionDecl;
    return {
      fn,
      slots: withScratch(slots.map((slot) => byName[slot.name] ?? -1)),
      sizes,
      adds: false,
      scalar,
      exact: true,
      site: group,
      phase: 'update',
    };
  };
  const none = (): number => 0;
  return [
    ...stretches(storage, updated, program.partBytes).map((s) =>
      call('sqnorm', 'gradient norm', normRows(s), { g: place(s, 1), parts: normParts + s.first * NORM_BYTES }, none),
    ),
    call('clip', 'gradient norm', { G: storage.groups.length }, { parts: normParts, norm, scale: clipScale }, () => update.maxNorm),
    ...updated.flatMap((g) => {
      const own = storage.groups[g];
      if (!own) return [];
      const state = { p: place(own, 0), g: place(own, 1), m: place(own, 2), v: place(own, 3), scale: clipScale };
      const scalar = (name: string): number => (name === 'decay_rows' ? own.decayBytes / ROW_BYTES : update.scalar(name, g));
      return [call(update.optimizer, own.name, { N: own.bytes / ROW_BYTES }, state, scalar)];
    }),
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
