/** @file Which buffer every lasting tensor lies in: parameters, gradients and optimizer state by group, inputs, caches. */

import { at, EbbError } from '../errors.ts';
import { type Address, address, FIRST_OTHER } from './link/address.ts';
import { aligned } from './link/layout.ts';
import type { Placement } from './link/linked.ts';
import { extentBytes, type ParamGroup, type Program } from './program.ts';

/** Parameters that get their gradients together, updated by one dispatch; a parameter larger than a binding lies in several. */
export interface GroupPlace {
  /** The calls that use them. */
  readonly name: string;
  readonly params: readonly number[];
  /** Buffers of the parameters, their gradients and the optimizer's moments: the same offset in each. */
  readonly page: number;
  readonly offset: number;
  readonly bytes: number;
  /** Bytes at the front that are under weight decay. */
  readonly decayBytes: number;
}

export interface StoragePlan {
  /** Bytes of each page of trainable parameters, and of each page of frozen ones. */
  readonly trainablePages: readonly number[];
  readonly frozenPages: readonly number[];
  readonly groups: readonly GroupPlace[];
  readonly placement: Placement;
  readonly inputBytes: number;
  readonly stateBytes: number;
}

export interface StorageLimits {
  readonly maxBufferSize: number;
  /** Most bytes of one binding. */
  readonly maxBinding: number;
}

/** Parameters used by the same calls get their gradients together: one group, one dispatch of the optimizer. */
export function paramGroups(program: Program): ParamGroup[] {
  const users = program.params.map((): string[] => []);
  for (const call of program.calls) for (const a of call.arguments) if (a.kind === 'param') users[a.param]?.push(call.site);
  const groups = new Map<string, number[]>();
  program.params.forEach((p, i) => {
    if (!p.trainable) return;
    const key = (users[i] ?? []).join('+');
    groups.set(key, [...(groups.get(key) ?? []), i]);
  });
  return [...groups].map(([name, params]) => ({ name, params }));
}

/** Ranges of a group are whole multiples of this, so that its squared norm splits into 64 equal parts of rows of four. */
const GROUP_ALIGNMENT = 1024;

/** A large group's range is a multiple of more, at most a 64th of it: with others like it, it splits into up to 64 times as many parts. */
function alignmentOf(bytes: number): number {
  let alignment = GROUP_ALIGNMENT;
  while (alignment < 64 * GROUP_ALIGNMENT && 128 * alignment <= bytes) alignment *= 2;
  return alignment;
}

/** Page kinds of a trainable page, in the order of their buffer ids. */
export const PAGE_KINDS = ['params', 'gradients', 'm', 'v'] as const;
export type PageKind = (typeof PAGE_KINDS)[number];

/** Buffer id of a trainable page. */
export function trainableBuffer(page: number, kind: number): number {
  return FIRST_OTHER + page * PAGE_KINDS.length + kind;
}

/** Lays out everything that lives longer than a step. @param decays which parameters are under weight decay */
export function planStorage(program: Program, sizes: Readonly<Record<string, number>>, limits: StorageLimits, decays: (param: number) => boolean): StoragePlan {
  const pageLimit = limits.maxBufferSize - (limits.maxBufferSize % 256);
  const check = (name: string, bytes: number): void => {
    if (bytes > pageLimit)
      throw new EbbError(`${name} takes ${bytes} bytes, and a buffer of this device holds at most ${pageLimit}; choose another adapter or a smaller model`);
  };
  const params: Address[] = program.params.map(() => -1);
  const gradients: (Address | null)[] = program.params.map(() => null);
  const trainablePages: number[] = [];
  const groups: GroupPlace[] = [];
  for (const { name, params: members } of paramGroups(program)) {
    const ordered = [...members.filter(decays), ...members.filter((i) => !decays(i))];
    const places = new Map<number, number>();
    const bytesOf = (i: number): number => program.params[i]?.bytes ?? 0;
    const taken = ordered.reduce((end, i) => end + aligned(bytesOf(i)), 0);
    const total = Math.ceil(taken / alignmentOf(taken)) * alignmentOf(taken);
    check(`the parameters of ${name}`, total);
    if (trainablePages.length === 0 || at(trainablePages, -1) + total > pageLimit) trainablePages.push(0);
    const page = trainablePages.length - 1;
    const start = at(trainablePages, page);
    trainablePages[page] = start + total;
    ordered.reduce((offset, i) => {
      places.set(i, offset);
      params[i] = address(trainableBuffer(page, 0), offset);
      gradients[i] = address(trainableBuffer(page, 1), offset);
      return offset + aligned(bytesOf(i));
    }, start);
    const undecayed = ordered.filter((i) => !decays(i)).map((i) => places.get(i) ?? 0);
    const decayEnd = Math.min(start + total, ...undecayed);
    // a group larger than a binding is updated piece by piece
    const piece = Math.floor(limits.maxBinding / GROUP_ALIGNMENT) * GROUP_ALIGNMENT;
    for (let offset = start; offset < start + total; offset += piece) {
      const bytes = Math.min(piece, start + total - offset);
      const inside = ordered.filter((i) => (places.get(i) ?? 0) < offset + bytes && offset < (places.get(i) ?? 0) + aligned(bytesOf(i)));
      groups.push({ name, params: inside, page, offset, bytes, decayBytes: Math.max(0, Math.min(decayEnd - offset, bytes)) });
    }
  }
  const frozenPages: number[] = [];
  const firstFrozen = trainableBuffer(trainablePages.length, 0);
  program.params.forEach((p, i) => {
    if (p.trainable) return;
    check(p.name, p.bytes);
    const bytes = aligned(p.bytes);
    if (frozenPages.length === 0 || at(frozenPages, -1) + bytes > pageLimit) frozenPages.push(0);
    const page = frozenPages.length - 1;
    const end = at(frozenPages, page);
    params[i] = address(firstFrozen + page, end);
    frozenPages[page] = end + bytes;
  });
  const lay = (extents: readonly number[], buffer: number): { addresses: Address[]; bytes: number } => {
    let end = 0;
    const addresses = extents.map((bytes) => {
      const at = address(buffer, end);
      end += aligned(bytes);
      return at;
    });
    return { addresses, bytes: end };
  };
  const inputs = lay(
    program.inputs.map((x) => extentBytes(x.extent, sizes)),
    2,
  );
  const states = lay(
    program.states.map((x) => extentBytes(x.extent, sizes)),
    4,
  );
  return {
    trainablePages,
    frozenPages,
    groups,
    placement: { params, gradients, states: states.addresses, inputs: inputs.addresses },
    inputBytes: inputs.bytes,
    stateBytes: states.bytes,
  };
}
