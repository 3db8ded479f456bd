/** @file Which buffer every lasting tensor lies in: parameters, gradients and optimizer state by group, inputs, caches. */

import { at, EbbError } from '../errors.ts';
import { type Address, address, FIRST_OTHER } from './link/address.ts';
import { aligned } from './link/layout.ts';
import type { Placement } from './link/linked.ts';
import { type Extent, extentBytes, type ParamGroup, type Program } from './program.ts';

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

/** Buffers that grow to the right: each range goes to the last page, or to a new one where it no longer fits. */
interface Pages {
  readonly bytes: readonly number[];
  /** Takes a range. @throws EbbError naming `what` where no page holds it */
  take(what: string, bytes: number): { readonly page: number; readonly offset: number };
}

function growingPages(maxBufferSize: number): Pages {
  const limit = maxBufferSize - (maxBufferSize % 256);
  const pages: number[] = [];
  return {
    bytes: pages,
    take(what, bytes) {
      if (bytes > limit)
        throw new EbbError(`${what} takes ${bytes} bytes, and a buffer of this device holds at most ${limit}; choose another device or a smaller model`);
      if (pages.length === 0 || at(pages, -1) + bytes > limit) pages.push(0);
      const page = pages.length - 1;
      const offset = at(pages, page);
      pages[page] = offset + bytes;
      return { page, offset };
    },
  };
}

/** Where a parameter lies in a page, and its bytes with what aligns the next one. */
interface PlacedParam {
  readonly param: number;
  readonly offset: number;
  readonly bytes: number;
}

/** Lays parameters side by side, from `start`. */
function sideBySide(program: Program, params: readonly number[], start: number): readonly PlacedParam[] {
  let offset = start;
  return params.map((param) => {
    const placed = { param, offset, bytes: aligned(at(program.params, param).bytes) };
    offset += placed.bytes;
    return placed;
  });
}

/** The pieces of a group of parameters of `total` bytes from `start`. A group larger than a binding is updated piece by piece. */
function piecesOf(
  {
    name,
    page,
    start,
    total,
    placed,
  }: { readonly name: string; readonly page: number; readonly start: number; readonly total: number; readonly placed: readonly PlacedParam[] },
  decays: (param: number) => boolean,
  maxBinding: number,
): GroupPlace[] {
  const end = start + total;
  const decayEnd = Math.min(end, ...placed.filter(({ param }) => !decays(param)).map(({ offset }) => offset));
  const piece = Math.floor(maxBinding / GROUP_ALIGNMENT) * GROUP_ALIGNMENT;
  return Array.from({ length: Math.ceil(total / piece) }, (_, i) => {
    const offset = start + i * piece;
    const bytes = Math.min(piece, end - offset);
    const inside = placed.filter((p) => p.offset < offset + bytes && offset < p.offset + p.bytes);
    return { name, params: inside.map((p) => p.param), page, offset, bytes, decayBytes: Math.max(0, Math.min(decayEnd - offset, bytes)) };
  });
}

/** Lays ranges side by side in a buffer. */
function rangesIn(buffer: number, sizes: readonly number[]): { readonly addresses: readonly Address[]; readonly bytes: number } {
  let end = 0;
  const addresses = sizes.map((bytes) => {
    const start = end;
    end += aligned(bytes);
    return address(buffer, start);
  });
  return { addresses, bytes: end };
}

/** Lays out everything that lives longer than a step. @param decays which parameters are under weight decay @throws EbbError for what no buffer of the device holds */
export function planStorage(program: Program, sizes: Readonly<Record<string, number>>, limits: StorageLimits, decays: (param: number) => boolean): StoragePlan {
  const params: Address[] = program.params.map(() => -1);
  const gradients: (Address | null)[] = program.params.map(() => null);
  const trainable = growingPages(limits.maxBufferSize);
  const groups = paramGroups(program).flatMap(({ name, params: members }) => {
    // parameters under weight decay come first, so that they are one range
    const ordered = [...members.filter(decays), ...members.filter((i) => !decays(i))];
    const taken = ordered.reduce((sum, i) => sum + aligned(at(program.params, i).bytes), 0);
    const total = Math.ceil(taken / alignmentOf(taken)) * alignmentOf(taken);
    const { page, offset: start } = trainable.take(`the parameters of ${name}`, total);
    const placed = sideBySide(program, ordered, start);
    for (const { param, offset } of placed) {
      params[param] = address(trainableBuffer(page, 0), offset);
      gradients[param] = address(trainableBuffer(page, 1), offset);
    }
    return piecesOf({ name, page, start, total, placed }, decays, limits.maxBinding);
  });
  const frozen = growingPages(limits.maxBufferSize);
  const firstFrozen = trainableBuffer(trainable.bytes.length, 0);
  program.params.forEach((p, i) => {
    if (p.trainable) return;
    const { page, offset } = frozen.take(p.name, aligned(p.bytes));
    params[i] = address(firstFrozen + page, offset);
  });
  const bytesOf = ({ extent }: { readonly extent: Extent }): number => extentBytes(extent, sizes);
  const inputs = rangesIn(2, program.inputs.map(bytesOf));
  const states = rangesIn(4, program.states.map(bytesOf));
  return {
    trainablePages: trainable.bytes,
    frozenPages: frozen.bytes,
    groups,
    placement: { params, gradients, states: states.addresses, inputs: inputs.addresses },
    inputBytes: inputs.bytes,
    stateBytes: states.bytes,
  };
}
