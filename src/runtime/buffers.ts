/** @file All device buffers of an engine, allocated once; nothing is created afterwards. */

import { EbbError } from '../errors.ts';
import { type Address, address, BUFFERS } from './address.ts';
import type { Form } from './forms.ts';
import type { Linker } from './link.ts';
import { extentBytes, type Program } from './program.ts';
import { PAGE_KINDS, type StoragePlan, trainableBuffer } from './storage.ts';

/** Bytes of a call's uniform block. */
export const BLOCK = 256;
/** Steps whose losses may be unread. */
const RING = 4;
export const USAGE = { storage: 0x80, copySrc: 0x4, copyDst: 0x8, uniform: 0x40, mapRead: 0x1, queryResolve: 0x200 };

/** Copies `bytes` of a buffer, a multiple of 4, out as f32. Waits for the device. */
export async function readFloats(device: GPUDevice, from: GPUBuffer, offset: number, bytes: number): Promise<Float32Array> {
  const staging = device.createBuffer({ size: bytes, usage: USAGE.mapRead | USAGE.copyDst });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(from, offset, staging, 0, bytes);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(USAGE.mapRead);
  const copy = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return copy;
}
/** Bytes of a group's partial squared norms. */
export const NORM_BYTES = 256;

export interface DeviceBuffers {
  /** By buffer id. */
  readonly table: readonly (GPUBuffer | undefined)[];
  /** Bytes of each kind. */
  readonly memory: Readonly<Record<string, number>>;
  readonly uniforms: GPUBuffer;
  /** Uniform blocks there is room for. */
  readonly maxBlocks: number;
  /** Bytes of main's results in one micro-batch. */
  readonly resultBytes: number;
  /** Where the partial norms of the groups start, and the norm and clip scale made of them. */
  readonly norms: GPUBuffer;
  readonly normParts: Address;
  readonly norm: Address;
  readonly clipScale: Address;
  /** Where partial squared norms of probed gradients start. */
  readonly probes: Address;
  readonly ring: readonly GPUBuffer[];
  destroy(): void;
}

export interface AllocateOptions {
  readonly micros: number;
  readonly optimizer: 'adamw' | 'sgd' | 'none';
  /** Buffers of another engine whose weights and states are used. */
  readonly shared: readonly (GPUBuffer | undefined)[];
  /** Forms that patterns may hold. */
  readonly forms: readonly Form[];
  /** What probing takes: of the stack, the slots, and for norms. */
  readonly probes: { readonly stackBytes: number; readonly slotBytes: number; readonly normBytes: number } | null;
}

/** @throws EbbError when a buffer is larger than the device allows, or its memory is not enough */
export async function allocate(
  device: GPUDevice,
  program: Program,
  bounds: Readonly<Record<string, number>>,
  storage: StoragePlan,
  linker: Linker,
  { micros, optimizer, shared, forms, probes }: AllocateOptions,
): Promise<DeviceBuffers> {
  const memory: Record<string, number> = {};
  const made: GPUBuffer[] = [];
  const buffer = (kind: string, bytes: number, usage: number): GPUBuffer => {
    const size = Math.max(256, Math.ceil(bytes / 256) * 256);
    if (size > device.limits.maxBufferSize)
      throw new EbbError(`${kind} needs a buffer of ${size} bytes, this device allows ${device.limits.maxBufferSize}; choose a smaller batch or length`);
    memory[kind] = (memory[kind] ?? 0) + size;
    const b = device.createBuffer({ label: kind, size, usage });
    made.push(b);
    return b;
  };
  const data = USAGE.storage | USAGE.copySrc | USAGE.copyDst;
  const resultBytes = program.results.reduce((n, r) => n + Math.ceil(extentBytes(program.values[r]?.extent ?? { of: [], bytes: 0 }, bounds) / 256) * 256, 0);
  const groups = storage.groups.length;
  const maxBlocks = (program.calls.length * 4 + 8) * micros + groups * 2 + 2;

  device.pushErrorScope('out-of-memory');
  const table: (GPUBuffer | undefined)[] = [];
  const { stackBytes, slotBytes } = linker.bounds(forms);
  table[BUFFERS.stack] = buffer('activations', Math.max(stackBytes, probes?.stackBytes ?? 0), data);
  table[BUFFERS.slots] = buffer('residuals', Math.max(slotBytes, probes?.slotBytes ?? 0), data);
  table[BUFFERS.inputs] = buffer('inputs', storage.inputBytes * micros, data);
  table[BUFFERS.results] = buffer('results', resultBytes * micros, data);
  table[BUFFERS.states] = shared[BUFFERS.states] ?? buffer('states', storage.stateBytes, data);
  const kinds = optimizer === 'none' ? 2 : optimizer === 'sgd' ? 3 : 4;
  storage.trainablePages.forEach((bytes, page) => {
    PAGE_KINDS.slice(0, kinds).forEach((kind, k) => {
      table[trainableBuffer(page, k)] = buffer(kind, bytes, data);
    });
  });
  const firstFrozen = trainableBuffer(storage.trainablePages.length, 0);
  storage.frozenPages.forEach((bytes, page) => {
    table[firstFrozen + page] = shared[firstFrozen + page] ?? buffer('frozen', bytes, data);
  });
  const normId = firstFrozen + storage.frozenPages.length;
  const norms = buffer('norms', NORM_BYTES * (Math.max(1, groups) + 2), data);
  table[normId] = norms;
  if (probes) table[normId + 1] = buffer('probes', probes.normBytes, data);
  const uniforms = buffer('uniforms', maxBlocks * BLOCK, USAGE.uniform | USAGE.copyDst);
  const ring = Array.from({ length: RING }, () => buffer('readback', 4 * micros + 8, USAGE.copyDst | USAGE.mapRead));
  const failed = await device.popErrorScope();
  if (failed)
    throw new EbbError(
      `the device ran out of memory allocating ${Object.values(memory).reduce((a, b) => a + b, 0)} bytes; choose a smaller batch or length, or a smaller model`,
    );
  return {
    table,
    memory,
    uniforms,
    maxBlocks,
    resultBytes,
    norms,
    normParts: address(normId, 0),
    norm: address(normId, NORM_BYTES * Math.max(1, groups)),
    clipScale: address(normId, NORM_BYTES * (Math.max(1, groups) + 1)),
    probes: address(normId + 1, 0),
    ring,
    destroy: () => {
      for (const b of made) b.destroy();
    },
  };
}
