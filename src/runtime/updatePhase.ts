/** @file The calls that end a step: squared norms of the gradients, the clip scale, and one optimizer call for each group. */

import { at, invariant } from '../errors.ts';
import { NORM_BYTES } from './bufferBytes.ts';
import { COUNT_BYTES, type CountsLayout, countsLayout } from './countsLayout.ts';
import type { EngineBuffers } from './engineBuffers.ts';
import { type Address, address, BUFFERS } from './link/address.ts';
import { ALIGNMENT } from './link/layout.ts';
import type { Program, Sizes } from './program.ts';
import type { StepCall } from './stepCall.ts';
import { PAGE_KINDS, type PageKind, type StoragePlan, trainableBuffer } from './storage.ts';

/** The optimizer's part of a step. */
export interface Update {
  readonly optimizer: 'adamw' | 'sgd';
  readonly maxNorm: number;
  readonly scalar: (name: string) => number;
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
    const { page, offset, bytes } = at(groups, g);
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

/** The last part of a step: the update of its parameters. */
export interface UpdatePart {
  /** Groups of parameters that are updated. */
  readonly updated: readonly number[];
  /** Parameters that got no gradient and are updated with zeros, which are to be written before. */
  readonly zeroed: readonly number[];
  readonly calls: readonly StepCall[];
}

/** The update of what got a gradient. @param written parameters that did */
export function updatePart(plan: UpdatePlan, update: Update, written: ReadonlySet<number>): UpdatePart {
  const { groups } = plan.storage;
  const updated = groups.flatMap((g, i) => (update.alsoUntouched || g.params.some((param) => written.has(param)) ? [i] : []));
  const zeroed = update.alsoUntouched ? groups.flatMap((g) => g.params.filter((param) => !written.has(param))) : [];
  return { updated, zeroed, calls: updated.length > 0 ? updateCalls(plan, update, updated) : [] };
}

/** The places of the values of the update phase that belong to no parameter. */
export type UpdatePlaces = Pick<EngineBuffers, 'normParts' | 'norm' | 'clipScale' | 'counts'>;

/** A call of the update phase with everything that is the same in every step. */
type PlannedCall = Omit<StepCall, 'scalar'>;

/** What updates of one optimizer are made of: the calls whose addresses no step changes, and how the others are made. */
export interface UpdatePlan {
  readonly storage: StoragePlan;
  /** Sums up the squares of a stretch of gradients. */
  readonly squares: (stretch: Stretch) => PlannedCall;
  readonly clip: PlannedCall;
  readonly count: PlannedCall;
  /** The optimizer's call of each group. */
  readonly groups: readonly PlannedCall[];
  /** The most bytes that a stretch of gradients has. */
  readonly mostBytes: number;
}

/** The addresses that the function which counts updates is called with, by the names of its operands. */
function countInputs({ counts, clipScale }: UpdatePlaces, { updated, table }: CountsLayout): Readonly<Record<string, Address>> {
  return { updated: counts + updated, scale: clipScale, ...(table === null ? {} : { table: counts + table }) };
}

/** Plans the updates of an optimizer, once for all steps: a step only says which groups it updates. */
export function planUpdates(program: Program, storage: StoragePlan, places: UpdatePlaces, optimizer: Update['optimizer']): UpdatePlan {
  const { normParts, norm, clipScale } = places;
  const G = storage.groups.length;
  const layout = countsLayout(G, optimizer);
  /** Addresses of the columns' numbers, from a group's on. */
  const counted = (group: number): Record<string, Address> =>
    Object.fromEntries(Object.entries(layout.columns).map(([name, offset]) => [name, places.counts + offset + group * COUNT_BYTES]));
  const place = ({ page, offset }: Pick<Stretch, 'page' | 'offset'>, kind: PageKind): Address =>
    address(trainableBuffer(page, PAGE_KINDS.indexOf(kind)), offset);
  const call = (name: string, site: string, sizes: Sizes, byName: Readonly<Record<string, Address>>): PlannedCall => {
    const fn = program.updates[name];
    invariant(fn !== undefined, `the program has no function ${name}`);
    const decl = at(program.functions, fn);
    // What is written elsewhere than in place would be lost with the scratch.
    for (const [k, { role, of }] of decl.results.entries()) invariant(role !== 'update' || decl.inplace[k] === of, `${name} does not update in place`);
    const slots = withScratch(decl.slots.map((slot) => byName[slot.name]));
    return { fn, slots, sizes, adds: false, exact: true, site, phase: 'update' };
  };
  return {
    storage,
    mostBytes: program.partBytes,
    squares: (s) => call('sqnorm', 'gradient norm', normRows(s), { g: place(s, 'gradients'), parts: normParts + s.first * NORM_BYTES }),
    clip: call('clip', 'gradient norm', { G }, { parts: normParts, norm, scale: clipScale }),
    count: call(`${optimizer}_count`, 'count of updates', { G }, { ...counted(0), ...countInputs(places, layout) }),
    groups: storage.groups.map((own, g) => {
      const moments = { p: place(own, 'params'), g: place(own, 'gradients'), m: place(own, 'm'), v: place(own, 'v') };
      return call(optimizer, own.name, { N: own.bytes / ROW_BYTES }, { ...moments, scale: clipScale, ...counted(g) });
    }),
  };
}

const none = (): number => 0;

/** The calls of an update. @param updated groups of parameters that are updated */
export function updateCalls({ storage, mostBytes, squares, clip, count, groups }: UpdatePlan, update: Update, updated: readonly number[]): StepCall[] {
  return [
    ...stretches(storage, updated, mostBytes).map((stretch) => ({ ...squares(stretch), scalar: none })),
    { ...clip, scalar: () => update.maxNorm },
    { ...count, scalar: none },
    ...updated.map((g) => {
      const rows = at(storage.groups, g).decayBytes / ROW_BYTES;
      return { ...at(groups, g), scalar: (name: string) => (name === 'decay_rows' ? rows : update.scalar(name)) };
    }),
  ];
}

/** Temporaries of the update functions lie in the stack, which is empty by then. */
function withScratch(slots: readonly (Address | undefined)[]): Address[] {
  let end = 0;
  return slots.map((place) => {
    if (place !== undefined) return place;
    end += ALIGNMENT;
    return address(BUFFERS.stack, end - ALIGNMENT);
  });
}
