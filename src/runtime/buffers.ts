/** @file All device buffers of an engine, allocated once; nothing is created afterwards. */

import { EbbError } from '../errors.ts';
import { type ActivationBytes, type BufferKind, blocksOf, bufferBytes, NORM_BYTES, resultBytesOf } from './bufferBytes.ts';
import { type Address, address, BUFFERS } from './link/address.ts';
import type { Program } from './program.ts';
import { PAGE_KINDS, type StoragePlan, trainableBuffer } from './storage.ts';

export const USAGE = { storage: 0x80, copySrc: 0x4, copyDst: 0x8, uniform: 0x40, mapRead: 0x1, queryResolve: 0x200 };

/** Copies `bytes` of a buffer, a multiple of 4, out as f32. Waits for the device. */
export async function readFloats(
  device: Pick<GPUDevice, 'queue' | 'createBuffer' | 'createCommandEncoder'>,
  from: GPUBuffer,
  offset: number,
  bytes: number,
): Promise<Float32Array> {
  const staging = device.createBuffer({ size: bytes, usage: USAGE.mapRead | USAGE.copyDst });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(from, offset, staging, 0, bytes);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(USAGE.mapRead);
  const copy = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return copy;
}

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
  /** What the patterns need, and probing. */
  readonly activations: ActivationBytes;
  /** Bytes of the norms of probed gradients. */
  readonly probeBytes: number;
}

/** @throws EbbError when a buffer is larger than the device allows, or its memory is not enough */
export async function allocate(
  device: GPUDevice,
  program: Program,
  bounds: Readonly<Record<string, number>>,
  storage: StoragePlan,
  { micros, optimizer, shared, activations, probeBytes }: AllocateOptions,
): Promise<DeviceBuffers> {
  const memory: Record<string, number> = {};
  const made: GPUBuffer[] = [];
  const planned = bufferBytes(program, bounds, storage, { ...activations, micros, optimizer, probeBytes });
  const buffer = (kind: BufferKind, usage: number, page = 0): GPUBuffer => {
    const size = planned[kind][page] ?? 256;
    if (size > device.limits.maxBufferSize)
      throw new EbbError(`${kind} needs a buffer of ${size} bytes, this device allows ${device.limits.maxBufferSize}; choose a smaller batch or length`);
    memory[kind] = (memory[kind] ?? 0) + size;
    const b = device.createBuffer({ label: kind, size, usage });
    made.push(b);
    return b;
  };
  const data = USAGE.storage | USAGE.copySrc | USAGE.copyDst;
  const groups = storage.groups.length;

  device.pushErrorScope('out-of-memory');
  const table: (GPUBuffer | undefined)[] = [];
  table[BUFFERS.stack] = buffer('activations', data);
  table[BUFFERS.slots] = buffer('residuals', data);
  table[BUFFERS.inputs] = buffer('inputs', data);
  table[BUFFERS.results] = buffer('results', data);
  table[BUFFERS.states] = shared[BUFFERS.states] ?? buffer('states', data);
  storage.trainablePages.forEach((_, page) => {
    PAGE_KINDS.forEach((kind, k) => {
      if (planned[kind].length > 0) table[trainableBuffer(page, k)] = buffer(kind, data, page);
    });
  });
  const firstFrozen = trainableBuffer(storage.trainablePages.length, 0);
  storage.frozenPages.forEach((_, page) => {
    table[firstFrozen + page] = shared[firstFrozen + page] ?? buffer('frozen', data, page);
  });
  const normId = firstFrozen + storage.frozenPages.length;
  const norms = buffer('norms', data);
  table[normId] = norms;
  if (probeBytes > 0) table[normId + 1] = buffer('probes', data);
  const uniforms = buffer('uniforms', USAGE.uniform | USAGE.copyDst);
  const ring = planned.readback.map((_, i) => buffer('readback', USAGE.copyDst | USAGE.mapRead, i));
  const failed = await device.popErrorScope();
  if (failed)
    throw new EbbError(
      `the device ran out of memory allocating ${Object.values(memory).reduce((a, b) => a + b, 0)} bytes; choose a smaller batch or length, or a smaller model`,
    );
  return {
    table,
    memory,
    uniforms,
    maxBlocks: blocksOf(program, storage, micros),
    resultBytes: resultBytesOf(program, bounds),
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
