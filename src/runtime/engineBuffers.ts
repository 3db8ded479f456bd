/** @file All device buffers of an engine, allocated once; nothing is created afterwards. */

import { at, EbbError, invariant } from '../errors.ts';
import { type BufferBytes, type BufferKind, NORM_BYTES, resultBytesOf } from './bufferBytes.ts';
import type { BufferRequest, BufferUse, Device, DeviceBuffer, Memory } from './device.ts';
import { type Address, address, BUFFERS, bufferOf } from './link/address.ts';
import type { Program, Sizes } from './program.ts';
import { PAGE_KINDS, type StoragePlan, trainableBuffer } from './storage.ts';

export interface EngineBuffers extends Memory {
  /** Bytes of each kind. */
  readonly memory: Readonly<Record<string, number>>;
  /** Bytes of main's results in one micro-batch. */
  readonly resultBytes: number;
  /** The places in one buffer where the partial norms of the groups start, and where the norm and the clip scale lie that are made of them. */
  readonly normParts: Address;
  readonly norm: Address;
  readonly clipScale: Address;
  /** Where partial squared norms of probed gradients start. */
  readonly probes: Address;
  /** Where what is counted of updates starts (./countsLayout.ts). */
  readonly counts: Address;
  /** What the losses of steps are read back through. */
  readonly ring: readonly DeviceBuffer[];
  destroy(): void;
}

export interface AllocateOptions {
  /** Bytes of every buffer. */
  readonly planned: BufferBytes;
  /** Buffers of another engine, whose weights and states are used. */
  readonly shared: Memory['buffers'];
}

/** The buffer that an address points into. */
export function bufferAt({ buffers }: Pick<Memory, 'buffers'>, place: Address): DeviceBuffer {
  const buffer = buffers[bufferOf(place)];
  invariant(buffer, 'the engine was made without what is asked for');
  return buffer;
}

interface Wanted {
  readonly kind: BufferKind;
  readonly bytes: number;
  readonly use: BufferUse;
  /** The id of a buffer that addresses point into. Null for other buffers. */
  readonly id: number | null;
}

/** Ids behind the pages of parameters. */
function idsOf({ trainablePages, frozenPages }: StoragePlan): {
  readonly frozen: number;
  readonly norms: number;
  readonly probes: number;
  readonly counts: number;
} {
  const frozen = trainableBuffer(trainablePages.length, 0);
  const norms = frozen + frozenPages.length;
  return { frozen, norms, probes: norms + 1, counts: norms + 2 };
}

/** Kinds whose buffers may be another engine's. */
const SHARED: readonly BufferKind[] = ['states', 'frozen'];

/** Every buffer of an engine, in the order in which they are made. */
function wantedBuffers(planned: BufferBytes, storage: StoragePlan): Wanted[] {
  const ids = idsOf(storage);
  const pages = (kind: BufferKind, idOf: (page: number) => number): Wanted[] =>
    planned[kind].map((bytes, page): Wanted => ({ kind, bytes, use: 'data', id: idOf(page) }));
  const unaddressed = (kind: BufferKind, use: BufferUse): Wanted[] => planned[kind].map((bytes): Wanted => ({ kind, bytes, use, id: null }));
  return [
    ...pages('activations', () => BUFFERS.stack),
    ...pages('residuals', () => BUFFERS.slots),
    ...pages('inputs', () => BUFFERS.inputs),
    ...pages('results', () => BUFFERS.results),
    ...pages('states', () => BUFFERS.states),
    ...PAGE_KINDS.flatMap((kind, k) => pages(kind, (page) => trainableBuffer(page, k))),
    ...pages('frozen', (page) => ids.frozen + page),
    ...pages('norms', () => ids.norms),
    ...pages('probes', () => ids.probes),
    ...pages('counts', () => ids.counts),
    ...unaddressed('uniforms', 'blocks'),
    ...unaddressed('readback', 'readback'),
  ];
}

/** Makes the buffers. @throws EbbError when the device's memory is not enough */
async function make(device: Device, wanted: readonly Wanted[]): Promise<readonly DeviceBuffer[]> {
  try {
    return await device.allocate(wanted.map(({ kind, bytes, use }): BufferRequest => ({ name: kind, bytes, use })));
  } catch (error) {
    if (error instanceof EbbError) throw new EbbError(`${error.message}; choose a smaller batch or length, or a smaller model`);
    throw error;
  }
}

/** @throws EbbError when the device's memory is not enough */
export async function allocate(device: Device, program: Program, bounds: Sizes, storage: StoragePlan, options: AllocateOptions): Promise<EngineBuffers> {
  const sharedOf = ({ kind, id }: Wanted): DeviceBuffer | undefined => (id !== null && SHARED.includes(kind) ? options.shared[id] : undefined);
  const all = wantedBuffers(options.planned, storage);
  const wanted = all.filter((w) => sharedOf(w) === undefined);
  const made = await make(device, wanted);
  const buffers: (DeviceBuffer | undefined)[] = [];
  const memory: Record<string, number> = {};
  for (const w of all) if (w.id !== null) buffers[w.id] = sharedOf(w);
  wanted.forEach(({ kind, bytes, id }, i) => {
    const { [kind]: before = 0 } = memory;
    memory[kind] = before + bytes;
    if (id !== null) buffers[id] = at(made, i);
  });
  const unaddressed = (kind: BufferKind): DeviceBuffer[] => made.filter((_, i) => at(wanted, i).kind === kind);
  const ids = idsOf(storage);
  const groups = Math.max(1, storage.groups.length);
  return {
    buffers,
    memory,
    blocks: at(unaddressed('uniforms'), 0),
    ring: unaddressed('readback'),
    resultBytes: resultBytesOf(program, bounds),
    normParts: address(ids.norms, 0),
    norm: address(ids.norms, NORM_BYTES * groups),
    clipScale: address(ids.norms, NORM_BYTES * (groups + 1)),
    probes: address(ids.probes, 0),
    counts: address(ids.counts, 0),
    destroy: () => {
      for (const buffer of made) buffer.destroy();
    },
  };
}
