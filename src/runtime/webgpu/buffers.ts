/** @file Buffers of a WebGPU device, and reading them in the host's memory. */

import { EbbError } from '../../errors.ts';
import type { BufferRequest, BufferUse, DeviceBuffer } from '../device.ts';
import type { Ticket } from './patience.ts';

/** WebGPU's usage flags; its globals are not there in every program that has a device. */
const USAGE = { mapRead: 0x1, copySrc: 0x4, copyDst: 0x8, uniform: 0x40, storage: 0x80, queryResolve: 0x200 } as const;
const MAP_READ = 0x1;

const USAGE_OF: Readonly<Record<BufferUse | 'timestamps', number>> = {
  data: USAGE.storage | USAGE.copySrc | USAGE.copyDst,
  blocks: USAGE.uniform | USAGE.copyDst,
  readback: USAGE.mapRead | USAGE.copyDst,
  timestamps: USAGE.queryResolve | USAGE.copySrc,
};

export interface WebgpuBuffer extends DeviceBuffer {
  readonly gpu: GPUBuffer;
  readonly use: BufferUse | 'timestamps';
  /** Of a `readback` buffer: the submission that copied into it last. */
  ticket: Ticket | null;
}

/** Makes a buffer; what is wrong with it goes to the device's error scope. */
export function makeBuffer(gpu: GPUDevice, { name, bytes, use }: Omit<BufferRequest, 'use'> & Pick<WebgpuBuffer, 'use'>): WebgpuBuffer {
  const buffer = gpu.createBuffer({ label: name, size: bytes, usage: USAGE_OF[use] });
  return { bytes, gpu: buffer, use, ticket: null, destroy: () => buffer.destroy() };
}

/** Makes buffers. @throws EbbError where the device's memory is not enough; none of them is left then */
export async function allocate(gpu: GPUDevice, requests: readonly BufferRequest[]): Promise<readonly WebgpuBuffer[]> {
  gpu.pushErrorScope('out-of-memory');
  const made = requests.map((request) => makeBuffer(gpu, request));
  if ((await gpu.popErrorScope()) === null) return made;
  for (const buffer of made) buffer.destroy();
  const bytes = requests.reduce((sum, request) => sum + request.bytes, 0);
  throw new EbbError(`the device ran out of memory allocating ${bytes} bytes`, 'device');
}

/** Bytes of a `readback` buffer after the submission that copied into it last. Waits for that submission. */
export async function readMapped({ gpu, ticket }: WebgpuBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
  await ticket?.rest();
  const mapping = gpu.mapAsync(MAP_READ);
  await (ticket ? ticket.pending(mapping) : mapping);
  ticket?.finished();
  const copy = gpu.getMappedRange().slice(offset, offset + bytes);
  gpu.unmap();
  return copy;
}
