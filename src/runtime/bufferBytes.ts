/** @file What an engine allocates, in bytes, known before anything is: `allocate` makes exactly these buffers. */

import { countsLayout } from './countsLayout.ts';
import { extentBytes, type Program, type Sizes } from './program.ts';
import { PAGE_KINDS, type StoragePlan } from './storage.ts';

/** Bytes of a call's uniform block. */
export const BLOCK = 256;
/** Steps whose losses may be unread. */
const RING = 4;
/** Bytes of a group's partial squared norms. */
export const NORM_BYTES = 256;

/** Most bytes that the patterns of a run need for what moves. */
export interface ActivationBytes {
  /** The stack of saved values, with scratch above it. */
  readonly stackBytes: number;
  /** Residuals nobody keeps, and cotangents. */
  readonly slotBytes: number;
}

export interface MemoryOptions extends ActivationBytes {
  readonly micros: number;
  readonly optimizer: 'adamw' | 'sgd' | 'none';
  /** Bytes of the norms of probed gradients. Default: none are probed. */
  readonly probeBytes?: number;
}

/** Bytes of every buffer by its kind; several of a kind where it lies in pages. */
export type BufferBytes = Readonly<Record<BufferKind, readonly number[]>>;
export type BufferKind =
  | 'activations'
  | 'residuals'
  | 'inputs'
  | 'results'
  | 'states'
  | (typeof PAGE_KINDS)[number]
  | 'frozen'
  | 'norms'
  | 'counts'
  | 'probes'
  | 'uniforms'
  | 'readback';

/** Bytes of main's results in one micro-batch. */
export function resultBytesOf(program: Program, bounds: Sizes): number {
  return program.results.reduce((n, r) => n + whole(extentBytes(program.values[r]?.extent ?? { of: [], bytes: 0 }, bounds)), 0);
}

/** Uniform blocks that a step can need. */
export function blocksOf(program: Program, storage: StoragePlan, micros: number): number {
  return (program.calls.length * 4 + 8) * micros + storage.groups.length * 2 + 3;
}

const whole = (bytes: number): number => Math.ceil(bytes / 256) * 256;

/** The buffers of an engine that shares none with another. */
export function bufferBytes(program: Program, bounds: Sizes, storage: StoragePlan, options: MemoryOptions): BufferBytes {
  const { micros, optimizer, stackBytes, slotBytes, probeBytes = 0 } = options;
  const kinds = PAGE_KINDS.slice(0, optimizer === 'none' ? 2 : optimizer === 'sgd' ? 3 : 4);
  const pages = (kind: (typeof PAGE_KINDS)[number]): readonly number[] => (kinds.includes(kind) ? storage.trainablePages : []);
  const raw: BufferBytes = {
    activations: [stackBytes],
    residuals: [slotBytes],
    inputs: [storage.inputBytes * micros],
    results: [resultBytesOf(program, bounds) * micros],
    states: [storage.stateBytes],
    params: pages('params'),
    gradients: pages('gradients'),
    m: pages('m'),
    v: pages('v'),
    frozen: storage.frozenPages,
    norms: [NORM_BYTES * (Math.max(1, storage.groups.length) + 2)],
    counts: optimizer === 'none' ? [] : [countsLayout(storage.groups.length, optimizer).bytes],
    probes: probeBytes > 0 ? [probeBytes] : [],
    uniforms: [blocksOf(program, storage, micros) * BLOCK],
    readback: Array.from({ length: RING }, () => 4 * micros + 8),
  };
  return Object.fromEntries(Object.entries(raw).map(([kind, sizes]) => [kind, sizes.map((bytes) => Math.max(256, whole(bytes)))])) as unknown as BufferBytes;
}

/** Bytes of all buffers of a kind, or of several kinds. */
export function bytesOfKinds(bytes: BufferBytes, ...kinds: readonly BufferKind[]): number {
  return kinds.reduce((sum, kind) => sum + bytes[kind].reduce((a, b) => a + b, 0), 0);
}

/** Bytes of all buffers. */
export function totalBytes(bytes: BufferBytes): number {
  return bytesOfKinds(bytes, ...(Object.keys(bytes) as BufferKind[]));
}
